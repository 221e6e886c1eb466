package l7

import (
	"errors"
	"net"
	"os"
	"time"

	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/retry"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// lookAfter is how often one who waits looks for what nobody tells him of.
const lookAfter = time.Second

// pick takes a place at a server for the next attempt. If all are taken it waits for one,
// if it may: whoever holds a place already could wait for himself.
func (x *exchange) pick(wait bool) retry.Cause {
	x.phase = retry.Pick
	a, b := &x.server, x.to
	x.ask.Now, x.ask.Hash, x.ask.Random = x.loop.Now(), x.hash, x.random.Uint64()
	x.ask.Tried, x.ask.Sticky = a.tried, x.sticky
	s, why := b.Pool.Pick(&x.ask)
	switch {
	case why == upstream.Full && wait:
		return x.queue()
	case why == upstream.Full:
		return retry.QueueFull
	}
	return x.took(s, why)
}

// took begins an attempt at s, unless it was refused.
func (x *exchange) took(s *upstream.Server, why upstream.Refusal) retry.Cause {
	switch why {
	case upstream.NoServer:
		return retry.NoServer
	case upstream.BreakerOpen:
		return retry.BreakerOpen
	}
	a := &x.server
	a.next = s
	a.tried = append(a.tried, s)
	return retry.None
}

// queue waits for a place, behind those who came before.
func (x *exchange) queue() (c retry.Cause) {
	began := x.loop.Now()
	waiter := x.waits()
	w, ok := x.to.Pool.Enqueue(&x.ask, x.wake)
	if !ok {
		return retry.QueueFull
	}
	until := time.Time{}
	if d := x.to.Limits.QueueTimeout; d > 0 {
		until = began.Add(d)
	}
	until = x.sooner(until)
	defer func() {
		waited := x.loop.Now().Sub(began)
		x.queued += waited
		x.record.books.Queued(waited)
		x.record.span.Queued(began, x.loop.Now(), c)
	}()
	for {
		look := x.loop.Now().Add(lookAfter)
		last := !until.IsZero() && !look.Before(until)
		if last {
			look = until
		}
		err := waiter.Wait(look, x.client.Conn)
		x.follow()
		x.ask.Now, x.ask.Sticky = x.loop.Now(), x.sticky
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && !last:
			x.to.Pool.Look(x.ask.Now)
			continue
		case err != nil:
			w.Leave(x.ask.Now)
			return x.waited(err)
		}
		// Full: a wake that was meant for the one before, or somebody was quicker.
		if s, why := x.to.Pool.PickWaiting(w, &x.ask); why != upstream.Full {
			return x.took(s, why)
		}
	}
}

// follow turns to the backend that has taken the place of the one that was waited for.
func (x *exchange) follow() {
	x.to = x.to.Current()
	if x.to.Link(x.sticky) == nil {
		x.sticky = nil
	}
}

// waited says what the end of a wait for a server's place means.
func (x *exchange) waited(err error) retry.Cause {
	switch {
	case x.client.Closed(), errors.Is(err, net.ErrClosed):
		return retry.ShutDown
	case errors.Is(err, reactor.ErrHangup):
		return retry.ClientGone
	case errors.Is(err, os.ErrDeadlineExceeded):
		return x.late(retry.QueueTimeout)
	}
	return retry.ShutDown
}

// sooner returns t, or the deadline of the route if that is earlier; zero is never.
func (x *exchange) sooner(t time.Time) time.Time {
	if t.IsZero() || !x.deadline.IsZero() && x.deadline.Before(t) {
		return x.deadline
	}
	return t
}

// again prepares to send the request once more, when f has failed, and reports whether
// it did. Without, f may be another failure now, which ended the waiting.
func (x *exchange) again(f *retry.Failure) bool {
	a := &x.server
	act := retry.Decide(*f, x.to.On, x.afford)
	if !act.Again {
		return false
	}
	answered := f.Cause == retry.ServerStatus
	if answered {
		a.conn.WatchHangup(nil) // what it answered is kept for as long as no other server has the request
	} else {
		x.endAttempt(f)
	}
	c := retry.None
	if act.Fresh {
		a.fresh, a.raced = true, true
	} else {
		c = x.backOff()
	}
	if c == retry.None {
		c = x.pickOther(act.Fresh, !answered)
	}
	switch c {
	case retry.None:
		if answered {
			x.endAttempt(f)
		}
		return true
	case retry.ClientGone, retry.ShutDown, retry.RouteLate:
		*f = retry.Failure{Phase: retry.Pick, Cause: c}
	default: // f is what the client hears of
		if answered {
			a.conn.WatchHangup(x.client.Conn)
		}
	}
	return false
}

// pickOther is pick for a retry. After a race, which says nothing of the server, that one
// may do again: for a client that is to come back to it, and if there is no other.
func (x *exchange) pickOther(raced, wait bool) retry.Cause {
	a := &x.server
	tried, last := a.tried, len(a.tried)-1
	if raced && x.sticky == tried[last] {
		a.tried = tried[:last]
	}
	c := x.pick(wait)
	if raced && c == retry.NoServer && len(a.tried) == len(tried) {
		a.tried = tried[:last]
		c = x.pick(wait)
	}
	if c != retry.None {
		a.tried = tried
	}
	return c
}

// afford asks whether the pool can afford a retry. It counts from now on, also while
// it waits.
func (x *exchange) afford() bool {
	a := &x.server
	a.retryDone(x.to)
	a.retrying = x.to.Pool.Retry(x.loop.Now())
	return a.retrying
}

// backOff waits before a retry.
func (x *exchange) backOff() retry.Cause {
	d := retry.Backoff(x.to.Retry.Backoff, x.server.attempts, x.random.Uint64())
	if d == 0 {
		return retry.None
	}
	err := x.waits().Wait(x.by(d), x.client.Conn)
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return x.late(retry.None)
	}
	return x.waited(err)
}

// waits returns what the exchange waits with while no connection is waited for.
func (x *exchange) waits() *reactor.Waiter {
	if x.waiter == nil {
		x.waiter = x.loop.NewWaiter()
		x.wake = x.waiter.Wake // made once
	}
	return x.waiter
}
