package timeline

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/internal/peer"
)

// Options configures a Store.
type Options struct {
	Node   string    // this node; may be empty
	Others []string  // the other nodes
	Boot   time.Time // when its process started
	// Dir is where Run keeps the file; empty: nowhere.
	Dir string
	// Changed, when set, is called after events came in; it must not block.
	Changed func()
	Log     *zap.Logger // may be nil
}

// Store is the timeline as this node knows it. Its methods may be called
// concurrently, and wait for no disk.
type Store struct {
	o Options

	mu      sync.Mutex
	log     Log
	talk    exchange
	seq     uint64 // of the newest own event
	readers map[chan Event]bool
	unkept  []Event // not in the file yet; at most maxUnkept
	lost    bool    // some of unkept did not fit
	ready   bool    // it knows what earlier processes kept, if that can be known
	err     error   // why the events are not kept in the file; nil when they are

	wakeC chan struct{} // capacity 1: unkept is not empty
}

// maxUnkept bounds what waits for the disk.
const maxUnkept = 1000

// errNowhere is why a Store without a file keeps nothing.
var errNowhere = errors.New("there is no directory for it")

// New returns an empty Store.
func New(o Options) *Store {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	return &Store{
		o: o, talk: newExchange(o.Node, uint64(max(1, o.Boot.UnixMilli()))), readers: map[chan Event]bool{},
		wakeC: make(chan struct{}, 1), err: errNowhere, ready: o.Dir == "",
	}
}

// Add takes an event of this node in. Its node and number are set here.
func (s *Store) Add(e Event) {
	s.mu.Lock()
	s.seq++
	e.Node, e.Boot, e.Seq = s.o.Node, s.talk.boot, s.seq
	s.take(cleaned(e))
	s.mu.Unlock()
	if s.o.Changed != nil {
		s.o.Changed()
	}
}

// take takes an event of any node in. The caller holds mu.
func (s *Store) take(e Event) {
	if !s.log.Add(e) {
		return
	}
	if s.o.Dir != "" {
		if s.unkept = append(s.unkept, e); len(s.unkept) > maxUnkept {
			s.unkept, s.lost = nil, true
		}
		select {
		case s.wakeC <- struct{}{}:
		default:
		}
	}
	for c := range s.readers {
		select {
		case c <- e:
		default: // it learns by the end that it has missed some
			delete(s.readers, c)
			close(c)
		}
	}
}

// Says is what the other nodes are to know of what this one has; nil before that is
// known.
func (s *Store) Says() *peer.Events {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ready {
		return nil
	}
	return s.talk.says()
}

// Letters returns what the other nodes are to be told now. Until they say that they
// have it, it is told again and again.
func (s *Store) Letters(now time.Time, views []peer.View) []Letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range views {
		if v.State == nil || v.State.Events == nil {
			continue
		}
		m := v.State.Events.Have[s.o.Node]
		if m.Compare(s.log.Newest(s.o.Node)) > 0 && s.talk.after(m) {
			s.seq = 0
		}
	}
	return s.talk.letters(now, &s.log, views)
}

// Receive takes in what another node told.
func (s *Store) Receive(now time.Time, body []byte) error {
	s.mu.Lock()
	events, err := s.talk.open(now, body, s.o.Others)
	for _, e := range events {
		s.take(e)
	}
	s.mu.Unlock()
	if len(events) > 0 && s.o.Changed != nil {
		s.o.Changed()
	}
	return err
}

// Events returns the newest events of all nodes since a time, at most limit, in the
// order of their times.
func (s *Store) Events(since time.Time, limit int) []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Merged(since, limit)
}

// maxBehind is how many events a reader may leave unread.
const maxBehind = 256

// Follow is Events, and delivers what comes in from then on, in the order in which it
// does, until ctx ends. A reader that is too slow finds the channel closed before.
func (s *Store) Follow(ctx context.Context, since time.Time, limit int) ([]Event, <-chan Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := make(chan Event, maxBehind)
	s.readers[c] = true
	context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.readers[c] {
			delete(s.readers, c)
			close(c)
		}
	})
	return s.log.Merged(since, limit), c
}

// Subscribe is Follow for what comes in alone.
func (s *Store) Subscribe(ctx context.Context) <-chan Event {
	_, c := s.Follow(ctx, time.Time{}, 0)
	return c
}

// Err returns why the events do not survive the process; nil when they do.
func (s *Store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// path is the file of a node: two nodes of one host do not share it.
func (o Options) path() string {
	name := "events.jsonl"
	if o.Node != "" {
		name = "events-" + o.Node + ".jsonl"
	}
	return filepath.Join(o.Dir, name)
}
