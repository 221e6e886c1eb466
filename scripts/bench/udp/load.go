package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy/udp/mmsg"
)

const (
	packetSize = 64

	// inFlight is how many packets are on their way at a time: what the smallest
	// default buffer of a socket holds, 208 KiB, less what it takes to count it.
	inFlight = 128

	// lostAfter is how long an answer is waited for.
	lostAfter = 200 * time.Millisecond
)

// moved is what a load has done.
type moved struct {
	sent, answered int
	took           time.Duration // without the wait for the last answers
}

// lost returns the questions that have no answer.
func (m moved) lost() int { return m.sent - m.answered }

// A window bounds what a client has on its way. Times are since the load began.
type window struct {
	size, open int
	heard      time.Duration // the last answer, or the last lapse
}

// room returns how much may be sent at now. What is on its way is given up when nothing
// comes for lostAfter.
func (w *window) room(now time.Duration) int {
	if w.open > 0 && now-w.heard > lostAfter {
		w.open = 0
	}
	if w.open == 0 {
		w.heard = now
	}
	return w.size - w.open
}

func (w *window) sent(n int) { w.open += n }

// got takes in n answers. Some may be to what was given up.
func (w *window) got(n int, now time.Duration) {
	w.open = max(w.open-n, 0)
	w.heard = now
}

// datagrams returns how many a message of the batch holds.
func datagrams(in *mmsg.Receiver, i int) int {
	if _, segment := in.Control(i); segment > 0 {
		return (len(in.Payload(i)) + segment - 1) / segment
	}
	return 1
}

// poller waits for sockets.
type poller struct {
	fd     int
	events [256]unix.EpollEvent
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an epoll instance: %w", err)
	}
	return &poller{fd: fd}, nil
}

func (p *poller) close() { unix.Close(p.fd) }

// add watches fd, which wait calls id.
func (p *poller) add(fd int32, id int) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(id)}
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, int(fd), &e); err != nil {
		return fmt.Errorf("watch a socket: %w", err)
	}
	return nil
}

// wait returns what has something to read, in at most a tenth of a second.
func (p *poller) wait() ([]unix.EpollEvent, error) {
	n, err := unix.EpollWait(p.fd, p.events[:], 100)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return nil, fmt.Errorf("wait for sockets: %w", err)
	}
	return p.events[:max(n, 0)], nil
}

// crowd is clients that each keep their window full.
type crowd struct {
	poller  *poller
	sockets []int32
	windows []window
	in      *mmsg.Receiver
	out     *mmsg.Sender
	payload [packetSize]byte
	began   time.Time
	moved   moved
}

// stream loads address from n clients until ctx is done.
func stream(n int) func(ctx context.Context, address string) (moved, error) {
	return func(ctx context.Context, address string) (m moved, err error) {
		c := &crowd{in: mmsg.NewReceiver(), out: mmsg.NewSender(), began: time.Now()}
		if c.poller, err = newPoller(); err != nil {
			return m, err
		}
		defer c.close()
		if err := c.open(n, address); err != nil {
			return m, err
		}
		for ctx.Err() == nil {
			for i := range c.sockets {
				if err := c.send(i); err != nil {
					return m, err
				}
			}
			if err := c.receive(); err != nil {
				return m, err
			}
		}
		c.moved.took = time.Since(c.began)
		for end := time.Now().Add(lostAfter); c.moved.lost() > 0 && time.Now().Before(end); {
			if err := c.receive(); err != nil {
				return m, err
			}
		}
		return c.moved, nil
	}
}

func (c *crowd) open(n int, address string) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	for i := range n {
		fd, err := mmsg.Connect(to)
		if err != nil {
			return err
		}
		c.sockets = append(c.sockets, fd)
		c.windows = append(c.windows, window{size: max(inFlight/n, 1)})
		if err := c.poller.add(fd, i); err != nil {
			return err
		}
	}
	return nil
}

func (c *crowd) close() {
	for _, fd := range c.sockets {
		unix.Close(int(fd))
	}
	c.poller.close()
}

// send fills the window of client i.
func (c *crowd) send(i int) error {
	w := &c.windows[i]
	for room := w.room(time.Since(c.began)); room > 0; {
		c.out.Reset()
		for range min(room, mmsg.Size) {
			c.out.Add(&mmsg.Message{Payload: c.payload[:]})
		}
		n, errno := c.out.Send(c.sockets[i], 0)
		if errno != 0 {
			return fmt.Errorf("send to the proxy: %w", errno)
		}
		w.sent(n)
		c.moved.sent += n
		room -= n
	}
	return nil
}

// receive takes the answers that are there.
func (c *crowd) receive() error {
	events, err := c.poller.wait()
	if err != nil {
		return err
	}
	for _, e := range events {
		n, errno := c.in.Receive(c.sockets[e.Fd])
		if errno != 0 && errno != unix.EAGAIN {
			return fmt.Errorf("hear from the proxy: %w", errno)
		}
		got := 0
		for i := range n {
			got += datagrams(c.in, i)
		}
		c.windows[e.Fd].got(got, time.Since(c.began))
		c.moved.answered += got
	}
	return nil
}
