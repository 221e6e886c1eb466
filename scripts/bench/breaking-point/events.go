package main

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// wait waits until something happens or a request is due, and deals with the former.
func (g *generator) wait(events []unix.EpollEvent) error {
	limit := 10 * time.Millisecond
	if until := g.schedule.next - time.Since(g.began); !g.schedule.over && until < limit {
		limit = max(until, breath)
	}
	n, err := epollWait(g.epoll, events, limit)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for events: %w", err)
	}
	now := time.Since(g.began)
	for _, e := range events[:max(n, 0)] {
		if e.Fd == bellEvent {
			var count [8]byte
			_, _ = unix.Read(g.bell, count[:]) // it only stops ringing
			g.takeDials(now)
			continue
		}
		if c := &g.conns[e.Fd]; c.fd >= 0 && c.era == uint32(e.Pad) {
			g.happened(int(e.Fd), now)
		}
	}
	return nil
}

// epollWait is epoll_pwait2, whose limit is finer than a millisecond.
func epollWait(epoll int, events []unix.EpollEvent, limit time.Duration) (int, error) {
	t := unix.NsecToTimespec(int64(limit))
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), uintptr(unsafe.Pointer(&t)), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// takeDials takes the handshakes in that are over.
func (g *generator) takeDials(now time.Duration) {
	for {
		select {
		case d := <-g.done:
			c := &g.conns[d.place]
			if c.era != d.era || c.state != connecting {
				if d.fd >= 0 {
					_ = unix.Close(d.fd) // nobody waits for it any more
				}
				continue
			}
			c.fd, c.records = d.fd, d.records
			if d.err != nil {
				g.fail(d.place, now, dialKind(d.err))
				continue
			}
			if err := g.watch(d.place, unix.EPOLLIN); err != nil {
				g.fail(d.place, now, malformed)
				continue
			}
			g.connected(d.place, now)
		default:
			return
		}
	}
}

// connected goes on with a connection that is there: with its request, if there is one.
func (g *generator) connected(place int, now time.Duration) {
	c := &g.conns[place]
	if c.intended == 0 {
		c.state = idle
		g.waiting--
		g.idle = append(g.idle, place)
		return
	}
	g.begin(place, c.intended, now)
}

// happened deals with an event of a connection.
func (g *generator) happened(place int, now time.Duration) {
	c := &g.conns[place]
	if c.state == connecting {
		if errno, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || errno != 0 {
			g.fail(place, now, kindOf(unix.Errno(errno)))
			return
		}
		event := &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(place), Pad: int32(c.era)}
		if err := unix.EpollCtl(g.epoll, unix.EPOLL_CTL_MOD, c.fd, event); err != nil {
			g.fail(place, now, malformed)
			return
		}
		g.connected(place, now)
		return
	}
	over, err := c.read(g.scratch[:])
	if c.state == busy && len(c.text) > 0 {
		r := g.protocol.judge(c.text)
		if r.whole {
			g.answered(place, now, r, over)
			return
		}
	}
	if over || c.state == idle && len(c.text) > 0 {
		g.fail(place, now, kindOf(err))
	}
}

// answered ends a request that has its answer.
func (g *generator) answered(place int, now time.Duration, r reply, over bool) {
	c := &g.conns[place]
	g.samples = append(g.samples, sample{c.intended, now - c.intended, r.kind})
	g.waiting--
	if r.denied {
		g.denied++
		if r.hinted {
			g.hinted++
		}
	}
	if g.fresh || over || r.closes {
		g.drop(place)
		return
	}
	c.state, c.text = idle, c.text[:0]
	g.idle = append(g.idle, place)
}

// fail gives up a connection, and the request on it.
func (g *generator) fail(place int, now time.Duration, kind string) {
	c := &g.conns[place]
	if c.state != idle {
		g.samples = append(g.samples, sample{c.intended, now - c.intended, kind})
		g.waiting--
	}
	g.drop(place)
}

// drop closes a connection, whose request is over.
func (g *generator) drop(place int) {
	c := &g.conns[place]
	if c.fd >= 0 {
		_ = unix.Close(c.fd) // there is nothing left to be sent
	}
	c.fd, c.state = -1, absent
	c.era++
	g.absent = append(g.absent, place)
}

// expire gives up what has taken longer than a client waits.
func (g *generator) expire(now time.Duration) {
	if now < g.checked+10*time.Millisecond {
		return
	}
	g.checked = now
	for i := range g.conns {
		if c := &g.conns[i]; (c.state == busy || c.state == connecting) && now-c.intended > g.patience {
			g.fail(i, now, timedOut)
		}
	}
}

// close ends everything that the generator has.
func (g *generator) close() {
	over := make(chan struct{})
	go func() {
		g.dials.Wait()
		close(over)
	}()
	for waiting := true; waiting; {
		select {
		case d := <-g.done:
			if d.fd >= 0 {
				_ = unix.Close(d.fd) // nobody reads of it
			}
		case <-over:
			waiting = len(g.done) > 0
		}
	}
	for _, c := range g.conns {
		if c.fd >= 0 {
			_ = unix.Close(c.fd) // nobody reads of it
		}
	}
	for _, fd := range []int{g.bell, g.epoll} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}
