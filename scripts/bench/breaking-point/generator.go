package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// clientPatience is how long a client waits for its answer, from when it wanted to ask.
	clientPatience = 2 * time.Second
	// grace is for what is still open when all should have ended.
	grace = 2 * time.Second
	// breath is the shortest wait of the loop: what falls due in it is sent at once.
	breath = 100 * time.Microsecond
	// readyWithin is how long it may take to open the connections that are to be there.
	readyWithin = 15 * time.Second
	// dialers is how many handshakes a load makes at a time to have its connections.
	dialers = 512
)

// A load is an open loop: requests are sent when the schedule says so, whatever became
// of earlier ones, over connections that are used again, or one for each, and their
// latency counts from when they should have been sent. The number of connections is
// bounded: a request that finds all of them busy fails.
type load struct {
	address   netip.AddrPort
	protocol  protocol
	tls       bool
	fresh     bool // a connection for each request
	ready     int  // connections that are open before the first request
	most      int  // connections at a time
	patience  time.Duration
	seed      uint64
	stretches []stretch
}

// end returns when the last request is sent.
func (l load) end() time.Duration { return l.stretches[len(l.stretches)-1].until }

// loaded is what came of a load.
type loaded struct {
	samples []sample
	late    []sample      // how late requests were sent by the client's own fault
	open    int           // most connections at a time
	denied  int           // answers that turned a request away
	hinted  int           // of them, with Retry-After
	settled time.Duration // from the last request until nothing was waited for any more
}

// A generator is a load under way. It is one thread with an epoll set; handshakes of
// TLS alone are made by goroutines.
type generator struct {
	load
	loaded
	schedule *schedule
	began    time.Time
	epoll    int
	bell     int // rings when a handshake is over
	conns    []conn
	idle     []int // places of idle connections; the last is used first
	absent   []int // places without a connection
	waiting  int   // requests that were sent, or wait for their connection
	checked  time.Duration
	scratch  [16 << 10]byte

	dials sync.WaitGroup
	turns chan struct{} // one for each handshake at a time
	done  chan dialed
}

// bellEvent stands for the bell among the events, the others being places.
const bellEvent = -1

// run puts the load on the address. at is called at given moments of it, in their order,
// on the way.
func (l load) run(ctx context.Context, moments []moment) (loaded, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ctx, cancel := context.WithCancel(ctx)
	handshakes := dialers
	if l.fresh { // none waits for another one
		handshakes = max(dialers, l.most)
	}
	g := &generator{
		load: l, epoll: -1, bell: -1, conns: make([]conn, l.most), schedule: newSchedule(l.seed, l.stretches),
		turns: make(chan struct{}, handshakes), done: make(chan dialed, l.most),
	}
	defer func() {
		cancel()
		g.close()
	}()
	if err := g.prepare(ctx); err != nil {
		return loaded{}, err
	}
	events := make([]unix.EpollEvent, 1024)
	for ctx.Err() == nil {
		now := time.Since(g.began)
		for len(moments) > 0 && moments[0].at <= now {
			moments[0].do()
			moments = moments[1:]
		}
		if now >= g.end() && g.schedule.over && g.waiting == 0 && len(moments) == 0 || now > g.end()+g.patience+grace {
			g.settled = now - g.end()
			return g.loaded, nil
		}
		g.send(ctx, now)
		g.expire(now)
		if err := g.wait(events); err != nil {
			return loaded{}, err
		}
	}
	return loaded{}, ctx.Err()
}

// A moment is something to do at a time of the load.
type moment struct {
	at time.Duration
	do func()
}

// prepare opens the connections that are to be there before the first request.
func (g *generator) prepare(ctx context.Context) (err error) {
	if g.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("create epoll set: %w", err)
	}
	if g.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("create eventfd: %w", err)
	}
	if err := unix.EpollCtl(g.epoll, unix.EPOLL_CTL_ADD, g.bell, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: bellEvent}); err != nil {
		return fmt.Errorf("watch eventfd: %w", err)
	}
	for i := range g.conns {
		g.conns[i].fd = -1
		g.absent = append(g.absent, len(g.conns)-1-i)
	}
	g.began = time.Now()
	for range g.ready {
		g.connect(ctx, 0)
	}
	events := make([]unix.EpollEvent, 1024)
	for deadline := time.Now().Add(readyWithin); len(g.idle) < g.ready; {
		if time.Now().After(deadline) || ctx.Err() != nil {
			return errors.Join(fmt.Errorf("open %d connections: %d are open in %s", g.ready, len(g.idle), readyWithin), ctx.Err())
		}
		// A proxy that has just been under too much takes a while.
		failed := g.samples
		g.samples = nil // an attempt that fails at once is made again in the next turn
		for _, s := range failed {
			if s.kind == refused {
				return fmt.Errorf("open %d connections: one is %s", g.ready, s.kind)
			}
			g.connect(ctx, 0)
		}
		if err := g.wait(events); err != nil {
			return err
		}
	}
	g.began = time.Now()
	return nil
}

// send sends what is due, as far as there are connections.
func (g *generator) send(ctx context.Context, now time.Duration) {
	for g.schedule.due(now) {
		place, found := g.pop()
		switch {
		case found:
			g.begin(place, g.take(now), now)
		case len(g.absent) > 0:
			g.connect(ctx, g.take(now))
		default:
			g.samples = append(g.samples, sample{g.take(now), 0, unsent})
		}
	}
}

// take takes the next request, and notes how late it is.
func (g *generator) take(now time.Duration) time.Duration {
	at := g.schedule.take()
	g.late = append(g.late, sample{at: at, took: now - at})
	return at
}

// pop returns a connection that is idle.
func (g *generator) pop() (place int, found bool) {
	for len(g.idle) > 0 {
		place = g.idle[len(g.idle)-1]
		g.idle = g.idle[:len(g.idle)-1]
		if g.conns[place].state == idle {
			return place, true
		}
	}
	return 0, false
}

// begin sends a request on a connection.
func (g *generator) begin(place int, intended, now time.Duration) {
	c := &g.conns[place]
	if c.state == idle {
		g.waiting++
	}
	c.state, c.intended, c.text = busy, intended, c.text[:0]
	if err := c.write(g.protocol.request); err != nil {
		g.fail(place, now, kindOf(err))
	}
}

// connect opens a connection in a place that is free, for a request; before the load
// has begun, for none.
func (g *generator) connect(ctx context.Context, intended time.Duration) {
	place := g.absent[len(g.absent)-1]
	g.absent = g.absent[:len(g.absent)-1]
	g.open = max(g.open, g.most-len(g.absent))
	c := &g.conns[place]
	c.era++
	c.state, c.intended, c.text, c.raw, c.records = connecting, intended, c.text[:0], c.raw[:0], nil
	g.waiting++
	if g.tls {
		g.dial(ctx, place, c.era)
		return
	}
	fd, err := connectFrom(clientOf(place), g.address)
	c.fd = fd
	if err == nil {
		err = g.watch(place, unix.EPOLLIN|unix.EPOLLOUT)
	}
	if err != nil {
		g.fail(place, time.Since(g.began), kindOf(err))
	}
}

func (g *generator) watch(place int, events uint32) error {
	event := &unix.EpollEvent{Events: events, Fd: int32(place), Pad: int32(g.conns[place].era)}
	return unix.EpollCtl(g.epoll, unix.EPOLL_CTL_ADD, g.conns[place].fd, event)
}

// dial makes a handshake on a goroutine, which rings when it is over.
func (g *generator) dial(ctx context.Context, place int, era uint32) {
	g.dials.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, g.patience+dialGrace)
		defer cancel()
		d := dialed{place: place, era: era, fd: -1}
		select {
		case g.turns <- struct{}{}:
			d.fd, d.records, d.err = dialTLS(ctx, clientOf(place), g.address.String())
			<-g.turns
		case <-ctx.Done():
			d.err = ctx.Err()
		}
		g.done <- d
		_, _ = unix.Write(g.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	})
}
