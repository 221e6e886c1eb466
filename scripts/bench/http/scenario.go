package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/tandemlb/tandem/scripts/bench/side"
	"github.com/tandemlb/tandem/scripts/bench/web"
)

// A measurement is what one scenario came to with one system in one round. What a
// scenario does not measure is zero.
type measurement struct {
	Scenario string `json:"scenario"`
	System   string `json:"system"`
	Round    int    `json:"round"`

	Requests int     `json:"requests"`
	Errors   int     `json:"errors"` // requests that failed
	Rate     float64 `json:"requests_per_second"`
	P50      float64 `json:"p50_us"`
	P99      float64 `json:"p99_us"`
	// Late is the same quantile of how late the open loop's client was by itself.
	Late float64 `json:"client_late_p99_us"`

	// CPU time for each request, in microseconds: of the processes that the bytes go
	// through, the part of it outside the kernel, and of the system's other processes.
	CPU    float64 `json:"cpu_us_per_request"`
	User   float64 `json:"user_us_per_request"`
	Others float64 `json:"others_us_per_request"`

	Memory float64 `json:"bytes_per_idle_connection"`
}

// A target is what Tandem is to reach in a scenario.
type target struct {
	figure  string
	limit   float64 // of Tandem's median to another's, or of Tandem's alone
	against string  // the other; "": haproxy
	alone   bool
	atLeast bool // the limit is the least, not the most
}

func (t target) met(value float64) bool {
	if t.atLeast {
		return value >= t.limit
	}
	return value <= t.limit
}

// A scenario is something to measure.
type scenario struct {
	name    string
	what    string
	run     func(ctx context.Context, b *bench, i *instance) (measurement, error)
	targets []target
}

// scenarios returns all of them, in the order in which they run.
func scenarios() []scenario {
	cheaper := []target{{figure: cpuFigure, limit: 1}}
	return []scenario{
		closed(openFrom, web.Load{Path: web.Small, Connections: 64},
			target{figure: cpuFigure, limit: 0.85}, target{figure: rateFigure, limit: 1.05, atLeast: true}),
		closed("small-512", web.Load{Path: web.Small, Connections: 512},
			target{figure: cpuFigure, limit: 0.70}, target{figure: rateFigure, limit: 1.05, atLeast: true}),
		closed(closeName, web.Load{Path: web.Small, Connections: 64, Close: true}, target{figure: cpuFigure, limit: 1, against: "haproxy-always"}),
		closed("10KiB-64", web.Load{Path: web.Medium, Connections: 64}, cheaper...),
		closed("1MiB-16", web.Load{Path: web.Large, Connections: 16}, cheaper...),
		closed("post-64", web.Load{Path: web.Small, Connections: 64, Post: true}, cheaper...),
		closed("chunked-64", web.Load{Path: web.Pieces, Connections: 64, Post: true, Chunked: true}, cheaper...),
		{
			name: openName, what: "64 bytes at half of haproxy's rate in small-64, whatever the answers do",
			run: runOpen, targets: []target{{figure: p99Figure, limit: 1}},
		},
		{
			name: "idle", what: fmt.Sprintf("%d connections that had an answer and wait", idleConnections),
			run: runIdle, targets: []target{{figure: memoryFigure, limit: 1024, alone: true}},
		},
	}
}

// The scenario that needs to know HAProxy's rate in another, the other, and the one
// in which it matters how HAProxy shares its connections to the server.
const (
	openName  = "open-64"
	openFrom  = "small-64"
	closeName = "close-64"
)

// closed returns the scenario of a closed loop.
func closed(name string, l web.Load, targets ...target) scenario {
	return scenario{
		name: name, what: l.String(), targets: targets,
		run: func(ctx context.Context, b *bench, i *instance) (measurement, error) {
			if err := l.Warm(ctx, b.dir, i.listen); err != nil {
				return measurement{}, err
			}
			var got web.Loaded
			m, err := i.spent(func() (n int, err error) {
				got, err = l.Run(ctx, b.dir, i.listen, b.seconds)
				return got.Requests, err
			})
			m.Errors, m.P50, m.P99 = got.Errors, got.P50, got.P99
			m.Rate = float64(got.Requests) / (got.Microseconds / 1e6)
			return m, err
		},
	}
}

// spent runs work, which returns how many requests it got answered, and returns the
// CPU time that they took.
func (i *instance) spent(work func() (int, error)) (measurement, error) {
	proxies, err := used(i.proxies)
	if err != nil {
		return measurement{}, err
	}
	others, err := used(i.others)
	if err != nil {
		return measurement{}, err
	}
	n, err := work()
	if err != nil {
		return measurement{}, err
	}
	proxiesAfter, err := used(i.proxies)
	if err != nil {
		return measurement{}, err
	}
	othersAfter, err := used(i.others)
	if err != nil {
		return measurement{}, err
	}
	if n == 0 {
		return measurement{}, errors.New("no request was answered")
	}
	perRequest := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(n) }
	return measurement{
		Requests: n,
		CPU:      perRequest(proxiesAfter.total - proxies.total),
		User:     perRequest(proxiesAfter.user - proxies.user),
		Others:   perRequest(othersAfter.total - others.total),
	}, nil
}

// runOpen measures latency at a rate that none of the systems should find hard.
func runOpen(ctx context.Context, b *bench, i *instance) (measurement, error) {
	address, err := netip.ParseAddrPort(i.listen)
	if err != nil {
		return measurement{}, err
	}
	rate, err := b.openRate(ctx)
	if err != nil {
		return measurement{}, err
	}
	o := openLoop{address: address, connections: 64, rate: rate, period: web.WarmUp}
	if _, err := o.run(ctx); err != nil {
		return measurement{}, err
	}
	o.period = time.Duration(b.seconds) * time.Second
	var got opened
	m, err := i.spent(func() (n int, err error) {
		got, err = o.run(ctx)
		return len(got.latencies), err
	})
	us := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
	m.Errors, m.P50, m.P99 = got.failed, us(side.Quantile(got.latencies, 0.5)), us(side.Quantile(got.latencies, 0.99))
	m.Late = us(side.Quantile(got.late, 0.99))
	m.Rate = float64(len(got.latencies)) / o.period.Seconds()
	return m, err
}

// idleConnections is how many connections share the memory that they take, which is
// a few megabytes beside what a process has anyway.
const idleConnections = 5000

// runIdle measures the memory of connections on which nothing happens.
func runIdle(ctx context.Context, b *bench, i *instance) (measurement, error) {
	count := min(idleConnections, maxConnections(b.files))
	before, err := side.Settled(ctx, i.proxies)
	if err != nil {
		return measurement{}, err
	}
	conns := make([]net.Conn, 0, count)
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	buf := make([]byte, 4<<10)
	for len(conns) < count && ctx.Err() == nil {
		c, err := net.DialTimeout("tcp", i.listen, web.AnswerWithin)
		if err != nil {
			return measurement{}, fmt.Errorf("open connection %d: %w", len(conns), err)
		}
		conns = append(conns, c)
		if err := web.Get(c, buf); err != nil {
			return measurement{}, fmt.Errorf("ask on connection %d: %w", len(conns), err)
		}
	}
	after, err := side.Settled(ctx, i.proxies)
	if err != nil {
		return measurement{}, err
	}
	m := measurement{Requests: count, Memory: float64(after-before) / float64(count)}
	for _, c := range conns {
		// One that was closed meanwhile takes no memory.
		if err := web.Get(c, buf); err != nil {
			m.Errors++
		}
	}
	return m, nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
