package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tandemlb/tandem/scripts/bench/web"
)

// How many upgraded connections there are at most, and how many reloads they are to
// outlive.
const (
	maxTunnels = 10_000
	reloads    = 100
	atATime    = 64 // clients that are busy at the same time
)

// outlived is what upgraded connections went through.
type outlived struct {
	System  string   `json:"system"`
	Tunnels int      `json:"tunnels"`
	Reloads int      `json:"reloads"`
	Dropped int      `json:"dropped"`
	Seconds float64  `json:"seconds"`           // that the reloads took
	Why     []string `json:"reasons,omitempty"` // of the first few that were dropped
}

// String is for the reader.
func (o outlived) String() string {
	text := fmt.Sprintf("websockets over %d reloads with %s: dropped = %d of %d (the reloads took %.1f s)",
		o.Reloads, o.System, o.Dropped, o.Tunnels, o.Seconds)
	for _, why := range o.Why {
		text += "\n  " + why
	}
	return text
}

// tunnels returns how many upgraded connections are tried: the proxy needs two
// descriptors for each.
func tunnels(files int) int { return min(maxTunnels, maxConnections(files)) }

// outliveAll lets the systems, which are ways of running t, take turns. What was
// counted is returned also when some of it went wrong.
func (b *bench) outliveAll(ctx context.Context, chosen []system, t *tandem) ([]outlived, error) {
	var list []outlived
	var errs []error
	for _, s := range chosen {
		o, err := b.outlive(ctx, s, t)
		if ctx.Err() != nil {
			return list, errors.New("interrupted")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("websockets over reloads with %s: %w", s.name, err))
			continue
		}
		list = append(list, o)
	}
	return list, errors.Join(errs...)
}

// outlive opens upgraded connections through an instance of Tandem, reloads it again
// and again with a listener more or less, and counts those that echo no longer.
func (b *bench) outlive(ctx context.Context, s system, t *tandem) (o outlived, err error) {
	i, err := s.begin(ctx, b.dir, b.backend, b.files)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, i.stop()) }()
	o = outlived{System: s.name, Tunnels: tunnels(b.files)}
	conns := make([]*tunnel, o.Tunnels)
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	err = each(ctx, o.Tunnels, func(n int) error {
		c, err := openTunnel(i.listen)
		if err != nil {
			return fmt.Errorf("open tunnel: %w", err)
		}
		conns[n] = c
		return c.echoes(n)
	})
	if err != nil {
		return o, err
	}
	begin := time.Now()
	if err := b.reload(ctx, i, t); err != nil {
		return o, err
	}
	o.Reloads, o.Seconds = reloads, time.Since(begin).Seconds()
	var dropped atomic.Int64
	var mu sync.Mutex
	err = each(ctx, o.Tunnels, func(n int) error {
		if err := conns[n].echoes(n); err != nil {
			dropped.Add(1)
			mu.Lock()
			defer mu.Unlock()
			if len(o.Why) < 3 {
				o.Why = append(o.Why, err.Error())
			}
		}
		return nil
	})
	o.Dropped = int(dropped.Load())
	return o, err
}

// reload changes the config and has it loaded, each time.
func (b *bench) reload(ctx context.Context, i *instance, t *tandem) error {
	other, err := freePort()
	if err != nil {
		return err
	}
	for n := range reloads {
		another := ""
		if n%2 == 0 {
			another = other
		}
		if err := t.configure(i.site, another); err != nil {
			return err
		}
		bounded, cancel := context.WithTimeout(ctx, 10*time.Second)
		out, err := exec.CommandContext(bounded, t.binary, "reload", "--socket", i.path("admin.sock")).CombinedOutput()
		cancel()
		if err != nil {
			return fmt.Errorf("reload %d: %w: %s", n+1, err, out)
		}
	}
	return nil
}

// each calls do for the numbers below n, some at a time, until one fails.
func each(ctx context.Context, n int, do func(int) error) error {
	var next atomic.Int64
	errs := make([]error, atATime)
	var failed atomic.Bool
	var wg sync.WaitGroup
	for w := range atATime {
		wg.Go(func() {
			for ctx.Err() == nil && !failed.Load() {
				at := int(next.Add(1)) - 1
				if at >= n {
					return
				}
				if errs[w] = do(at); errs[w] != nil {
					failed.Store(true)
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err // the others are most likely the same
		}
	}
	return ctx.Err()
}

// A tunnel is a connection that the server behind the proxy has upgraded.
type tunnel struct{ net.Conn }

func openTunnel(address string) (*tunnel, error) {
	c, err := net.DialTimeout("tcp", address, web.AnswerWithin)
	if err != nil {
		return nil, err
	}
	if err := handshake(c); err != nil {
		c.Close()
		return nil, err
	}
	return &tunnel{c}, nil
}

// handshake upgrades c. The server is the first to speak after its answer only when
// spoken to, so that nothing is lost in the reader.
func handshake(c net.Conn) error {
	if err := c.SetDeadline(time.Now().Add(web.AnswerWithin)); err != nil {
		return err
	}
	_, err := io.WriteString(c, "GET "+web.Upgrade+" HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: "+web.WebsocketKey+"\r\nSec-WebSocket-Version: 13\r\n\r\n")
	if err != nil {
		return err
	}
	r := bufio.NewReaderSize(c, 1024)
	status, err := r.ReadString('\n')
	if err != nil {
		return web.NoEOF(err)
	}
	if len(status) < 12 || status[9:12] != "101" {
		return fmt.Errorf("asked for an upgrade, answered %q", status)
	}
	for line := status; line != "\r\n"; {
		if line, err = r.ReadString('\n'); err != nil {
			return web.NoEOF(err)
		}
	}
	return nil
}

// echoes sends a message that is the tunnel's own, and wants it back.
func (t *tunnel) echoes(n int) error {
	if err := t.SetDeadline(time.Now().Add(web.AnswerWithin)); err != nil {
		return err
	}
	sent := fmt.Sprintf("tunnel %06d", n)
	if _, err := io.WriteString(t, sent); err != nil {
		return fmt.Errorf("send through tunnel %d: %w", n, err)
	}
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(t, got); err != nil {
		return fmt.Errorf("receive from tunnel %d: %w", n, web.NoEOF(err))
	}
	if string(got) != sent {
		return fmt.Errorf("tunnel %d returned %q, not %q", n, got, sent)
	}
	return nil
}
