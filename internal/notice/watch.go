package notice

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// noKeepAlive keeps an idle session silent. Silence is for the timers of the
// election; a probe of the kernel would only find out a firewall that has begun
// to reject, which looks like a death, or a cut, which is none. Half a session
// is found out by the call of the peer's next process.
const noKeepAlive = -1 * time.Second

// input is something that happened, taken by the loop of w.
type input func(ctx context.Context, w *watcher, now time.Time) output

// inputs leads to the loop.
type inputs chan input

// send passes in on, and reports whether the loop took it.
func (c inputs) send(ctx context.Context, in input) bool {
	select {
	case c <- in:
		return true
	case <-ctx.Done():
		return false
	}
}

// watcher owns the session that this agent has dialed. Its loop alone touches
// the core and the session.
type watcher struct {
	o             Options
	id            identity
	core          *core
	inputs        inputs
	contradictedC <-chan time.Time
	publish       func(Event)

	session *link // nil: none
	tasks   sync.WaitGroup
}

func (w *watcher) run(ctx context.Context) {
	defer w.tasks.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var out output
		select {
		case <-ctx.Done():
			return
		case in := <-w.inputs:
			out = in(ctx, w, time.Now())
		case at := <-w.contradictedC:
			out = w.core.contradicted(at)
		case <-timer.C:
			out = w.core.tick(time.Now())
		}
		if out.dial > 0 {
			w.tasks.Go(func() { w.dial(ctx, out.dial) })
		}
		for _, e := range out.events {
			w.publish(e)
		}
		timer.Stop()
		if at := w.core.next(); !at.IsZero() {
			timer.Reset(time.Until(at))
		}
	}
}

// dial calls the peer and hands the result, with its connection, to the loop.
func (w *watcher) dial(ctx context.Context, within time.Duration) {
	l, r := w.call(ctx, within)
	if !w.inputs.send(ctx, func(ctx context.Context, w *watcher, now time.Time) output {
		if l != nil {
			w.adopt(ctx, l)
		}
		return w.core.dialed(now, r)
	}) && l != nil {
		l.conn.Close()
	}
}

func (w *watcher) call(ctx context.Context, within time.Duration) (*link, result) {
	// The peer's listener knows this node by its address.
	from := net.TCPAddrFromAddrPort(w.o.Self)
	from.Port = 0
	// TCP_NODELAY is on, as Go has it: a goodbye must not wait.
	d := net.Dialer{LocalAddr: from, Timeout: within, KeepAlive: noKeepAlive}
	conn, err := d.DialContext(ctx, "tcp", w.o.Peer.String())
	if errors.Is(err, unix.ECONNREFUSED) {
		return nil, result{outcome: refused, detail: "connection refused"}
	}
	if err != nil {
		return nil, result{outcome: silent, detail: err.Error()}
	}
	conn = early(conn)
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	conn.SetDeadline(time.Now().Add(helloWithin))
	l, err := w.id.call(conn)
	if err == nil {
		return l, result{outcome: answered, peer: l.peer}
	}
	conn.Close()
	r := result{outcome: silent, detail: err.Error()}
	switch {
	case errors.As(err, new(rejection)):
		r.outcome = rejected
	case hungUp(err):
		// Seen while a process dies, too: its listener is closed after the
		// session, and resets whom it had not accepted yet.
		r = result{outcome: abandoned, detail: fmt.Sprintf("it accepts, but ends the connection before its hello: %v", err)}
	}
	return nil, r
}

// adopt makes l the session, in the place of another.
func (w *watcher) adopt(ctx context.Context, l *link) {
	if w.session != nil {
		w.session.conn.Close()
	}
	w.session = l
	w.tasks.Go(func() {
		stop := context.AfterFunc(ctx, func() { l.conn.Close() })
		defer stop()
		e := l.wait()
		l.conn.Close()
		w.inputs.send(ctx, func(_ context.Context, w *watcher, now time.Time) output {
			if w.session != l {
				return output{} // it has been replaced
			}
			w.session = nil
			return w.core.ended(now, e)
		})
	})
}
