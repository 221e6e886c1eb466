package notice

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxPending bounds the handshakes at a time: there is one peer.
	maxPending = 4
	// maxHeld bounds the sessions after their handshake. The peer has one; a
	// second one is its doubt, the others are what a host left that vanished.
	maxHeld = 4
	// listenAgain is the pause before the next attempt to listen or to accept.
	listenAgain = 250 * time.Millisecond
)

// Counters says how often the listener turned somebody away.
type Counters struct {
	Strangers uint64 // callers from another address than the peer's
	Crowded   uint64 // callers that found too many handshakes under way
	Failed    uint64 // handshakes that failed
}

// acceptor lets this process be watched: it accepts the peer's sessions, and
// keeps them open until the peer ends them or the process does.
type acceptor struct {
	o      Options
	id     identity
	inputs inputs         // what matters to the watcher
	tasks  sync.WaitGroup // one for each connection; none is added when leaving

	strangers, crowded, failed atomic.Uint64

	leaveOnce sync.Once
	leftC     chan struct{} // closed when this process is leaving

	mu       sync.Mutex
	reason   string                // for leaving; valid when leftC is closed
	listener net.Listener          // nil: does not listen
	pending  map[net.Conn]struct{} // in their handshakes
	held     []*link               // the oldest first
}

func newAcceptor(o Options, id identity, in inputs) *acceptor {
	return &acceptor{o: o, id: id, inputs: in, leftC: make(chan struct{}), pending: map[net.Conn]struct{}{}}
}

func (a *acceptor) counters() Counters {
	return Counters{a.strangers.Load(), a.crowded.Load(), a.failed.Load()}
}

// run accepts until this process leaves or ctx is done; ln and err are the result
// of listen. A port in use, as during an upgrade, is no reason to end an agent:
// it is tried again.
func (a *acceptor) run(ctx context.Context, ln net.Listener, err error) {
	for ; ; ln, err = a.listen(ctx) {
		switch {
		case err != nil:
			detail := err.Error() // the loop may come to it after the next attempt
			a.inputs.send(ctx, func(_ context.Context, w *watcher, now time.Time) output {
				return w.core.deaf(now, detail)
			})
		case ln != nil:
			a.inputs.send(ctx, func(_ context.Context, w *watcher, _ time.Time) output {
				return w.core.hearing()
			})
			a.serve(ctx, ln)
		}
		if !a.pause(ctx) {
			return
		}
	}
}

// pause reports whether there is still something to do after it.
func (a *acceptor) pause(ctx context.Context) bool {
	timer := time.NewTimer(listenAgain)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-a.leftC:
	case <-ctx.Done():
	}
	return false
}

// listen returns no listener when this process is leaving.
func (a *acceptor) listen(ctx context.Context) (net.Listener, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.leaving() {
		return nil, nil
	}
	// Like all of Go's, the socket is close-on-exec: a child that outlived this
	// process with it would hide its death.
	config := net.ListenConfig{KeepAlive: noKeepAlive}
	// Plain TCP, which is what the verdicts are made for.
	config.SetMultipathTCP(false)
	ln, err := config.Listen(ctx, "tcp", a.o.Self.String())
	if err != nil {
		return nil, fmt.Errorf("listen for the peer at %s: %w", a.o.Self, err)
	}
	a.listener = earlyListen(ln)
	return a.listener, nil
}

// leaving reports whether leave was called. The caller holds mu when it acts on
// the answer.
func (a *acceptor) leaving() bool {
	select {
	case <-a.leftC:
		return true
	default:
		return false
	}
}

// serve accepts until the listener is closed.
func (a *acceptor) serve(ctx context.Context, ln net.Listener) {
	for {
		conn, err := ln.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			// Short of descriptors, say. The listener stays open: a port that
			// refuses would look like a dead process.
			if !a.pause(ctx) {
				return
			}
		default:
			if conn = early(conn); !a.admit(ctx, conn) {
				conn.Close()
			}
		}
	}
}

// admit begins the handshake with a caller who may be the peer.
func (a *acceptor) admit(ctx context.Context, conn net.Conn) bool {
	from, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil || from.Addr().Unmap() != a.o.Peer.Addr().Unmap() {
		a.strangers.Add(1)
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.leaving() {
		return false
	}
	if len(a.pending) >= maxPending {
		a.crowded.Add(1)
		return false
	}
	a.pending[conn] = struct{}{}
	conn.SetDeadline(time.Now().Add(helloWithin))
	a.tasks.Go(func() { a.attend(ctx, conn) })
	return true
}

// attend is the life of a caller's connection.
func (a *acceptor) attend(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	l, err := a.id.answer(conn)
	if err != nil {
		a.failed.Add(1)
	}
	stays := a.settle(conn, l)
	switch {
	case stays:
		a.inputs.send(ctx, func(_ context.Context, w *watcher, now time.Time) output {
			return w.core.greeted(now, l.peer)
		})
		l.wait() // the peer says nothing more: it ends, or is of no use
		a.release(l)
	case errors.As(err, new(rejection)):
		a.inputs.send(ctx, func(_ context.Context, w *watcher, now time.Time) output {
			return w.core.failed(now, fmt.Sprintf("a call from %s: %v", conn.RemoteAddr(), err))
		})
	}
}

// settle ends the handshake of conn; l is its session, or nil when it failed. It
// reports whether the session stays.
func (a *acceptor) settle(conn net.Conn, l *link) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.pending, conn)
	switch {
	case l == nil:
		return false
	case a.leaving():
		// The peer may count on this session already.
		l.goodbye(a.reason)
		return false
	}
	a.held = append(a.held, l)
	if len(a.held) > maxHeld {
		a.held[0].conn.Close()
		a.held = a.held[1:]
	}
	return true
}

func (a *acceptor) release(l *link) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held = slices.DeleteFunc(a.held, func(h *link) bool { return h == l })
}

// leave stops listening, says goodbye on every session, and returns when all is
// said. Only the first call has an effect; the others wait for it.
func (a *acceptor) leave(reason string) {
	a.leaveOnce.Do(func() {
		a.mu.Lock()
		a.reason = reason
		close(a.leftC)
		if a.listener != nil {
			a.listener.Close()
		}
		for conn := range a.pending {
			conn.SetDeadline(time.Now().Add(farewellWithin))
		}
		for _, l := range a.held {
			l.goodbye(reason)
		}
		a.mu.Unlock()
		a.tasks.Wait()
	})
}
