package load

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"time"
)

// The ports of the services.
const (
	HTTPPort = 80
	TLSPort  = 443
	TCPPort  = 7000
	UDPPort  = 5300
)

const (
	within     = 2 * time.Second // for any request
	flushEvery = 50 * time.Millisecond
	// lateBy is what counts as late: less is the coarseness of timers.
	lateBy = 10 * time.Millisecond
	// mostOpen bounds what is in flight of a class on new connections: its pace
	// times within, and some.
	mostOpen = 500
)

// Run sends requests to the address until ctx is canceled, and writes their lines
// to out. It returns when none is in flight any more.
//
// The same clients ask control as well, an echo of TCP (see Echo) that no node stands
// before: how long that takes is how late the machine is.
func Run(ctx context.Context, target netip.Addr, control netip.AddrPort, out io.Writer) error {
	c := &clients{target: target, control: control}
	var all sync.WaitGroup
	for _, s := range []struct {
		class string
		every time.Duration
		once  func(start time.Time) error
	}{
		{HTTP, 10 * time.Millisecond, c.http},
		{TLS, 50 * time.Millisecond, c.tls},
		{TCP, 20 * time.Millisecond, c.echo},
		{Control, 50 * time.Millisecond, c.compare},
	} {
		all.Go(func() { c.stream(ctx, s.class, s.every, s.once) })
	}
	for i := range 6 {
		// They do not all come at once.
		offset := time.Duration(i) * 15 * time.Millisecond
		all.Go(func() { c.keep(ctx, HTTPKept, offset, &keptHTTP{clients: c}) })
		all.Go(func() { c.keep(ctx, TCPKept, offset, &keptEcho{clients: c}) })
		all.Go(func() { c.keep(ctx, UDP, offset, &keptDatagrams{clients: c}) })
	}
	ended := make(chan struct{})
	go func() {
		all.Wait()
		close(ended)
	}()
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		var over bool
		select {
		case <-tick.C:
		case <-ended:
			over = true
		}
		if _, err := out.Write(c.take()); err != nil {
			return fmt.Errorf("write outcomes: %w", err)
		}
		if over {
			return nil
		}
	}
}

// clients send requests. Their methods are for several goroutines.
type clients struct {
	target  netip.Addr
	control netip.AddrPort
	mu      sync.Mutex
	lines   []byte
}

func (c *clients) say(class string, start time.Time, err error) {
	now := time.Now()
	c.line(Line{End: now, Span: now.Sub(start), Class: class, Reason: reason(err)})
}

func (c *clients) line(l Line) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = l.Append(c.lines)
}

func (c *clients) take() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	lines := c.lines
	c.lines = nil
	return lines
}

// stream makes a request at each tick, whatever becomes of those before.
func (c *clients) stream(ctx context.Context, class string, every time.Duration, once func(time.Time) error) {
	var open sync.WaitGroup
	defer open.Wait()
	slots := make(chan struct{}, mostOpen)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for due := time.Now().Add(every); ; due = due.Add(every) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now := time.Now()
		if late := now.Sub(due); late > lateBy {
			if class == HTTP {
				c.line(Line{End: now, Span: late, Class: Late})
			}
			due = now
		}
		select {
		case slots <- struct{}{}:
		default:
			continue // all are waiting, and say so when their time is over
		}
		open.Go(func() {
			start := time.Now()
			c.say(class, start, once(start))
			<-slots
		})
	}
}

// A kept client has a connection that it makes anew when it is broken.
type kept interface {
	ask(start time.Time) error
	drop()
}

// keptEvery is the pace on a kept connection.
const keptEvery = 90 * time.Millisecond

func (c *clients) keep(ctx context.Context, class string, offset time.Duration, k kept) {
	defer k.drop()
	tick := time.NewTicker(keptEvery)
	defer tick.Stop()
	select {
	case <-time.After(offset):
	case <-ctx.Done():
		return
	}
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		start := time.Now()
		err := k.ask(start)
		c.say(class, start, err)
		if err != nil {
			k.drop()
		}
	}
}
