package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/scripts/bench/web"
)

// An openLoop sends small requests at a constant rate, whether or not the earlier
// ones were answered, over a fixed set of connections. A request that finds all of
// them busy is sent late; its latency counts from when it should have been sent, so
// that a proxy that stalls does not thereby ask for fewer measurements of its stall.
type openLoop struct {
	address     netip.AddrPort // IPv4
	connections int
	rate        float64       // requests a second
	period      time.Duration // for which it sends
}

// grace is how long the last answers are waited for.
const grace = 2 * time.Second

// opened is what came of an open loop.
type opened struct {
	latencies []time.Duration // sorted
	late      []time.Duration // sorted: how late requests left by the client's own fault
	failed    int
}

// requestsDue returns how many requests should have been sent when elapsed has
// passed since the beginning, the first of them at the beginning itself.
func (o openLoop) requestsDue(elapsed time.Duration) int {
	return min(int(elapsed.Seconds()*o.rate)+1, o.total())
}

func (o openLoop) total() int { return int(o.period.Seconds() * o.rate) }

// intended returns when, from the beginning, request n is to be sent, counted from 0.
func (o openLoop) intended(n int) time.Duration {
	return time.Duration(float64(n) / o.rate * float64(time.Second))
}

// run is one thread with an epoll set and a timer of its own: the timers of the Go
// runtime may be a millisecond late, which is more than there is to measure.
func (o openLoop) run(ctx context.Context) (res opened, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	g, err := newGenerator(o)
	if err != nil {
		return opened{}, err
	}
	defer g.close()
	events := make([]unix.EpollEvent, o.connections+1)
	for g.answered+g.failed < o.total() && ctx.Err() == nil && time.Since(g.began) < o.period+grace {
		if err := g.send(); err != nil {
			return opened{}, err
		}
		if err := g.wait(events); err != nil {
			return opened{}, err
		}
	}
	slices.Sort(g.latencies)
	slices.Sort(g.late)
	return opened{g.latencies, g.late, o.total() - g.answered}, ctx.Err()
}

// timerEvent stands for the timer among the events, the others being indexes of
// connections.
const timerEvent = -1

// A generator is an open loop under way.
type generator struct {
	openLoop
	began     time.Time
	epoll     int
	timer     int
	conns     []openConn
	idle      []int // of conns, the one that is idle longest first
	sent      int
	answered  int
	failed    int
	ticks     int // of the timer, of which one may stand for several
	latencies []time.Duration
	late      []time.Duration
	behind    bool // requests that are due wait for an idle connection
}

// An openConn is a connection with at most one request on its way.
type openConn struct {
	fd       int
	intended time.Duration
	have     int
	buf      [1024]byte
}

func newGenerator(o openLoop) (g *generator, err error) {
	g = &generator{openLoop: o, epoll: -1, timer: -1, conns: make([]openConn, o.connections), latencies: make([]time.Duration, 0, o.total())}
	for i := range g.conns {
		g.conns[i].fd = -1
	}
	defer func() {
		if err != nil {
			g.close()
		}
	}()
	if g.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return g, fmt.Errorf("create epoll set: %w", err)
	}
	for i := range g.conns {
		if err := g.connect(i); err != nil {
			return g, err
		}
	}
	if g.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return g, fmt.Errorf("create timer: %w", err)
	}
	every := unix.NsecToTimespec(max(int64(float64(time.Second)/o.rate), 1))
	if err := unix.TimerfdSettime(g.timer, 0, &unix.ItimerSpec{Interval: every, Value: every}, nil); err != nil {
		return g, fmt.Errorf("set timer: %w", err)
	}
	err = unix.EpollCtl(g.epoll, unix.EPOLL_CTL_ADD, g.timer, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: timerEvent})
	if err != nil {
		return g, fmt.Errorf("watch timer: %w", err)
	}
	g.began = time.Now()
	return g, nil
}

// connect opens connection i, which is idle then.
func (g *generator) connect(i int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open socket: %w", err)
	}
	g.conns[i].fd, g.conns[i].have = fd, 0
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: g.address.Addr().As4(), Port: int(g.address.Port())}); err != nil {
		return fmt.Errorf("connect to %s: %w", g.address, err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return fmt.Errorf("make socket non-blocking: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return fmt.Errorf("set TCP_NODELAY: %w", err)
	}
	if err := unix.EpollCtl(g.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}); err != nil {
		return fmt.Errorf("watch socket: %w", err)
	}
	g.idle = append(g.idle, i)
	return nil
}

// send sends what is due, as far as there are idle connections.
func (g *generator) send() error {
	now := time.Since(g.began)
	due := g.requestsDue(now)
	for g.sent < due && len(g.idle) > 0 {
		i := g.idle[0]
		g.idle = g.idle[1:]
		c := &g.conns[i]
		c.intended = g.intended(g.sent)
		g.sent++
		if !g.behind {
			g.late = append(g.late, now-c.intended)
		}
		if n, err := unix.Write(c.fd, []byte(web.SmallRequest)); err != nil || n < len(web.SmallRequest) {
			if err := g.fail(i); err != nil {
				return err
			}
		}
	}
	g.behind = g.sent < due
	return nil
}

// wait waits until there are answers, or a request is due.
func (g *generator) wait(events []unix.EpollEvent) error {
	// The timer fires all along; the limit is for when it fails to.
	n, err := unix.EpollWait(g.epoll, events, 100)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for events: %w", err)
	}
	for _, e := range events[:max(n, 0)] {
		if e.Fd == timerEvent {
			// Until it is read, it does not fire again.
			var expirations [8]byte
			if _, err := unix.Read(g.timer, expirations[:]); err != nil && !errors.Is(err, unix.EAGAIN) {
				return fmt.Errorf("read timer: %w", err)
			}
			g.ticks++
			continue
		}
		if err := g.receive(int(e.Fd)); err != nil {
			return err
		}
	}
	return nil
}

// receive reads from connection i, which has something.
func (g *generator) receive(i int) error {
	c := &g.conns[i]
	n, err := unix.Read(c.fd, c.buf[c.have:])
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return nil
	}
	if err != nil || n == 0 {
		return g.fail(i)
	}
	c.have += n
	whole, err := web.Answered(c.buf[:c.have])
	switch {
	case err != nil || !whole && c.have == len(c.buf):
		return g.fail(i)
	case whole:
		g.latencies = append(g.latencies, time.Since(g.began)-c.intended)
		g.answered++
		c.have = 0
		g.idle = append(g.idle, i)
	}
	return nil
}

// fail gives up the request on connection i, and connects anew. A connection that
// was idle when it ended costs no request.
func (g *generator) fail(i int) error {
	if at := slices.Index(g.idle, i); at >= 0 {
		g.idle = slices.Delete(g.idle, at, at+1)
	} else {
		g.failed++
	}
	if err := unix.Close(g.conns[i].fd); err != nil {
		return fmt.Errorf("close socket: %w", err)
	}
	g.conns[i].fd = -1
	return g.connect(i)
}

func (g *generator) close() {
	for _, c := range g.conns {
		if c.fd >= 0 {
			unix.Close(c.fd)
		}
	}
	for _, fd := range []int{g.timer, g.epoll} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}
