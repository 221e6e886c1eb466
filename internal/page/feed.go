package page

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/verdict"
	"github.com/tandemlb/tandem/proxy/stats"
)

const (
	every = time.Second
	// span is how far back the charts go.
	span = 5 * time.Minute
	// maxWatchers bounds the clients of a feed.
	maxWatchers = 16
	// writeTimeout is for one event to leave for a client.
	writeTimeout = 5 * time.Second
)

// Snapshot is what the page shows at one moment.
type Snapshot struct {
	At      time.Time       `json:"at"`
	Verdict verdict.Verdict `json:"verdict"`
	Status  admin.Status    `json:"status"`
	Sample  *Sample         `json:"sample,omitempty"` // nil: none was taken
	// Events are the newest, oldest first.
	Events []admin.Event `json:"events"`
	// ReadOnly: nobody may change anything here.
	ReadOnly bool `json:"readOnly"`
}

// Options says what a Feed tells.
type Options struct {
	Look func(context.Context) (*admin.Explanation, error)
	// Count returns what was counted of the traffic, unless that is not known now.
	Count    func(context.Context) (stats.Snapshot, bool)
	ReadOnly bool
	Refused  func() // is told of a client beyond the bound
}

// A Feed tells its clients once a second how the node is, as server-sent events
// (HTML standard, section 9.2): first one "history" of samples, then "snapshot" after
// "snapshot". Multiple goroutines may invoke its methods.
type Feed struct {
	o Options

	mu       sync.Mutex
	meter    meter
	latest   *Snapshot // nil: there is none yet
	watchers map[*watcher]struct{}
}

// watcher is a client. Its channel is closed when it is dropped.
type watcher struct{ eventC chan []byte }

// NewFeed returns a feed that is to be run.
func NewFeed(o Options) *Feed {
	return &Feed{o: o, watchers: make(map[*watcher]struct{})}
}

// Run looks at the node until ctx is done, also when nobody watches: the charts are
// to show what led to now. Then it drops the clients.
func (f *Feed) Run(ctx context.Context) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		f.look(ctx, time.Now())
		select {
		case <-ctx.Done():
			f.dropAll()
			return
		case <-ticker.C:
		}
	}
}

// look takes a snapshot and hands it to whoever has taken the one before.
func (f *Feed) look(ctx context.Context, now time.Time) {
	told, err := f.o.Look(ctx)
	if err != nil {
		return // the page says for how long it has heard nothing
	}
	counted, fresh := f.o.Count(ctx)
	s := Snapshot{At: now, Verdict: verdict.Judge(now, &told.Status), Status: told.Status, Events: told.History, ReadOnly: f.o.ReadOnly}
	f.mu.Lock()
	defer f.mu.Unlock()
	if fresh {
		if sample, is := f.meter.take(now, counted); is {
			s.Sample = &sample
		}
	}
	f.latest = &s
	if len(f.watchers) == 0 {
		return // for whom it would be written
	}
	e := event("snapshot", s)
	for w := range f.watchers {
		select {
		case w.eventC <- e:
		default:
			f.drop(w)
		}
	}
}

// event returns what in the form of a server-sent event.
func event(name string, what any) []byte {
	text, err := json.Marshal(what)
	if err != nil {
		text = []byte("null") // no value of the status is one that JSON does not have
	}
	b := append([]byte("event: "+name+"\ndata: "), text...)
	return append(b, "\n\n"...)
}

// drop ends a client. The caller holds mu.
func (f *Feed) drop(w *watcher) {
	if _, is := f.watchers[w]; is {
		delete(f.watchers, w)
		close(w.eventC)
	}
}

func (f *Feed) dropAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.watchers {
		f.drop(w)
	}
}

// Watchers returns how many clients there are.
func (f *Feed) Watchers() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.watchers)
}

// join adds a client, and returns what it is to be told first; nil when there are
// too many.
func (f *Feed) join() (*watcher, [][]byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.watchers) >= maxWatchers {
		return nil, nil
	}
	w := &watcher{eventC: make(chan []byte, 1)}
	f.watchers[w] = struct{}{}
	first := [][]byte{event("history", f.meter.samples)}
	if f.latest != nil {
		first = append(first, event("snapshot", f.latest))
	}
	return w, first
}

// ServeHTTP tells a client until it leaves, or takes too long.
func (f *Feed) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w, first := f.join()
	if w == nil {
		f.o.Refused()
		rw.Header().Set("Retry-After", "5")
		admin.Answer(rw, http.StatusServiceUnavailable, admin.Failure{Error: "too many follow this node already: close another page"})
		return
	}
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.drop(w)
	}()
	control := http.NewResponseController(rw)
	rw.Header().Set("Content-Type", "text/event-stream")
	rw.WriteHeader(http.StatusOK)
	for _, e := range first {
		if !tell(rw, control, e) {
			return
		}
	}
	for {
		select {
		case <-r.Context().Done():
			return
		case e, is := <-w.eventC:
			if !is || !tell(rw, control, e) {
				return
			}
		}
	}
}

// tell reports whether an event has left in time.
func tell(rw http.ResponseWriter, control *http.ResponseController, e []byte) bool {
	_ = control.SetWriteDeadline(time.Now().Add(writeTimeout)) // a writer without has none
	if _, err := rw.Write(e); err != nil {
		return false
	}
	return control.Flush() == nil
}
