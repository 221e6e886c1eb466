// Package notice tells an agent at once that the process of its peer has died.
//
// Timers are for hosts that vanish. A process that dies is announced by its own
// kernel, which closes what the process had open: the agents keep TCP sessions
// with each other, and when one ends without a goodbye, the survivor asks the
// peer's port once more. A refusal says that the host lives and nobody listens:
// with the end of the session it proves the death, within a round trip, whatever
// the interval of the advertisements. Everything else (no answer, a full
// backlog, a cut) proves nothing, and is left to the timers.
//
// There is one session in each direction: who dials watches, who accepts is
// watched. A single session for both would need a rule for who calls whom, and
// a process could not ask again for the session that it did not dial.
//
// A refusal without a session before it proves nothing: a peer that never ran,
// or a firewall that rejects. A reset proves nothing by itself: it may be forged
// by who cannot answer for the port. A firewall that has begun to reject, and
// cuts a living session, is taken for a death once; when the heartbeat
// contradicts, refusals lose their credit until a session has been stable for a
// minute.
//
// A process that leaves in good order says goodbye. Each run of a process has a
// random id, so that a restart is told apart from the end of a connection. With
// the key of the cluster, both ends prove that they hold it.
package notice

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// Options configures a Session.
type Options struct {
	Self, Peer netip.AddrPort // where this agent listens, and where the peer's does
	Key        []byte         // of the cluster; empty: nobody is authenticated
	Node       string         // name of this node, for the peer's messages; cut to 64 bytes
}

// Kind is what happened to the session with the peer.
type Kind uint8

// The kinds of events.
const (
	Connected   Kind = iota + 1 // the peer is watched: its death would be noticed
	Goodbye                     // the peer's process leaves in good order
	Died                        // the peer's process is dead: proven
	Lost                        // the session ended, and nothing is proven
	Unreachable                 // no session can be had: refused, or no answer
	Rejected                    // something calls or answers that cannot prove to be the peer
	Distrusted                  // a Died was wrong: refusals prove nothing for now
	Deaf                        // nothing can listen at Options.Self: the peer cannot watch this node
)

// String returns the name of the kind in lower case.
func (k Kind) String() string {
	switch k {
	case Connected:
		return "connected"
	case Goodbye:
		return "goodbye"
	case Died:
		return "died"
	case Lost:
		return "lost"
	case Unreachable:
		return "unreachable"
	case Rejected:
		return "rejected"
	case Distrusted:
		return "distrusted"
	case Deaf:
		return "deaf"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Event is a change of the session. Unreachable, Rejected and Deaf are said
// once, and again only after the session, or the listener, was there meanwhile.
type Event struct {
	Kind     Kind
	At       time.Time
	Evidence string // for people
}

// eventsKept is the number of events that wait for a slow reader.
const eventsKept = 16

// Session is this agent's half of the watch that two agents keep over each
// other. Its methods may be called by several goroutines at once.
type Session struct {
	acceptor      *acceptor
	watcher       *watcher
	eventC        chan Event
	contradictedC chan time.Time // capacity 1
}

// New returns a Session that is not yet known to anyone; see Run.
func New(o Options) *Session {
	id := identity{process: process{node: o.Node}, key: o.Key}
	rand.Read(id.boot[:]) // never fails
	s := &Session{
		eventC:        make(chan Event, eventsKept),
		contradictedC: make(chan time.Time, 1),
	}
	in := make(inputs)
	s.acceptor = newAcceptor(o, id, in)
	s.watcher = &watcher{
		o: o, id: id, core: newCore(o.Peer.String(), time.Now()),
		inputs: in, contradictedC: s.contradictedC, publish: s.publish,
	}
	return s
}

// Run watches the peer and lets itself be watched until ctx is done; then it
// says goodbye, unless Goodbye was called, and returns nil. Whatever fails is
// tried again, and told by an event. It may be called once.
func (s *Session) Run(ctx context.Context) error {
	var tasks sync.WaitGroup
	// The listener closes before the sessions when the process dies, so that
	// callers are refused by the time they see the session end. It is no more than
	// likely, see core.
	ln, err := s.acceptor.listen(ctx)
	tasks.Go(func() { s.acceptor.run(ctx, ln, err) })
	s.watcher.run(ctx)
	s.acceptor.leave("stopped")
	tasks.Wait()
	return nil
}

// Events returns what happens. The channel is never closed. A reader that is
// slow loses the oldest events, never the newest.
func (s *Session) Events() <-chan Event { return s.eventC }

// Goodbye tells the peer that this process is about to leave in good order, for
// the given reason (at most 64 bytes), so that its end is not taken for a death.
// When it returns, after 200 ms at most, the goodbye is with the kernel and the
// process may end. From then on the peer cannot watch this process, but is
// watched still, until Run returns. Only the first call has an effect.
func (s *Session) Goodbye(reason string) { s.acceptor.leave(reason) }

// Contradicted says that the peer was heard alive at now. It may be called for
// every advertisement that the peer sends, and does not block; it matters only
// after a Died that a refusal had proven, and not within the first 100 ms.
func (s *Session) Contradicted(now time.Time) {
	select {
	case s.contradictedC <- now:
	default: // one is waiting to be heard
	}
}

// Counters returns how often the listener turned somebody away.
func (s *Session) Counters() Counters { return s.acceptor.counters() }

// publish keeps the newest events. The loop of the watcher alone calls it.
func (s *Session) publish(e Event) {
	for {
		select {
		case s.eventC <- e:
			return
		default:
		}
		select {
		case <-s.eventC:
		default: // the reader took it
		}
	}
}
