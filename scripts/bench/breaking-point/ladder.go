package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/scripts/bench/side"
)

// A ladder is one kind of load, whose rate goes up until the proxy breaks.
type ladder struct {
	name, what string
	protocol   protocol
	http       bool
	tls        bool
	fresh      bool    // a connection for each request
	ready      int     // connections that are open before the first request
	limit      int     // connections that the proxy lets in
	start      float64 // the first rate
}

// shakes reports whether it is handshakes that are counted.
func (l ladder) shakes() bool { return l.tls && l.fresh }

// ladders returns all of them, in the order in which they run.
func ladders() []ladder {
	return []ladder{
		{name: "http", what: "HTTP, requests on connections that are kept", protocol: http(), http: true, ready: 256, limit: 1000, start: 8000},
		{name: "tls", what: "HTTP over TLS, requests on connections that are kept", protocol: http(), http: true, tls: true, ready: 256, limit: 1000, start: 6000},
		{name: "handshakes", what: "TLS, a handshake and a request on each connection", protocol: http(), http: true, tls: true, fresh: true, limit: 200, start: 600},
		{name: "messages", what: "TCP, messages on connections that are kept", protocol: echo(), ready: 256, limit: 1000, start: 8000},
		{name: "connections", what: "TCP, a connection for each message", protocol: echo(), fresh: true, limit: 400, start: 1500},
	}
}

// mostOpen is how many connections the clients may have at a time, which is more than
// the proxies let in.
const mostOpen = 6000

// load returns the load of the ladder on the address.
func (l ladder) load(address string, seed uint64, stretches ...stretch) (load, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return load{}, fmt.Errorf("parse the proxy's address: %w", err)
	}
	return load{
		address: to, protocol: l.protocol, tls: l.tls, fresh: l.fresh,
		ready: l.ready, most: mostOpen, patience: clientPatience, seed: seed, stretches: stretches,
	}, nil
}

// visit makes one request by way of the address.
func (l ladder) visit(ctx context.Context) func(address string) error {
	return func(address string) error {
		one, err := l.load(address, 1, stretch{50 * time.Millisecond, 100})
		if err != nil {
			return err
		}
		one.ready, one.most = 0, 10
		got, err := one.run(ctx, nil)
		if err != nil {
			return err
		}
		for _, s := range got.samples {
			if s.kind == served {
				return nil
			}
		}
		return fmt.Errorf("no request of %d is answered: %s", len(got.samples), strings.Join(tallied(got.samples, 0, time.Second).failures(), ", "))
	}
}

// usage is the CPU time that the parts have used so far.
type usage struct {
	at                     time.Time
	client, backend, proxy time.Duration
}

// A step is what came of one rate.
type step struct {
	System string
	Rate   float64 // requests a second that were to be sent

	tally
	Held   bool
	Late   bool          // it says more of the client than of the proxy
	late   time.Duration // p99 of how late the client was by its own fault
	open   int
	shares shares
}

// shares are what the parts used of a processor.
type shares struct{ client, backend, proxy float64 }

func (u usage) until(v usage) shares {
	span := v.at.Sub(u.at).Seconds()
	return shares{(v.client - u.client).Seconds() / span, (v.backend - u.backend).Seconds() / span, (v.proxy - u.proxy).Seconds() / span}
}

// An arena has what all ladders share.
type arena struct {
	backend    string // address and port
	backendPID int
	bound      bound
	warm       time.Duration // before a measurement
	period     time.Duration // of one
	seed       uint64
}

func (a *arena) usage(i *side.Instance) (u usage, err error) {
	u.at = time.Now()
	for pid, t := range map[int]*time.Duration{os.Getpid(): &u.client, a.backendPID: &u.backend, i.Worker: &u.proxy} {
		if *t, err = lab.CPUTime(pid); err != nil {
			return u, err
		}
	}
	return u, nil
}

// clientLimit is how late the client may be with one of a hundred requests, by its own
// fault, before the step says more of it than of the proxy.
const clientLimit = 20 * time.Millisecond

// step puts one rate on an instance.
func (a *arena) step(ctx context.Context, l ladder, i *side.Instance, rate float64) (step, error) {
	a.seed++
	load, err := l.load(i.Listen, a.seed, stretch{a.warm + a.period, rate})
	if err != nil {
		return step{}, err
	}
	var before, after usage
	var errs [2]error
	got, err := load.run(ctx, []moment{
		{a.warm, func() { before, errs[0] = a.usage(i) }},
		{a.warm + a.period, func() { after, errs[1] = a.usage(i) }},
	})
	for _, e := range append(errs[:], err) {
		if e != nil {
			return step{}, fmt.Errorf("%.0f a second: %w", rate, e)
		}
	}
	s := step{
		Rate: rate, tally: tallied(got.samples, a.warm, a.warm+a.period), open: got.open,
		late: tallied(got.late, a.warm, a.warm+a.period).lateness(), shares: before.until(after),
	}
	s.Held, s.Late = a.bound.holds(s.tally), s.late > clientLimit
	return s, nil
}

// lateness is the p99 of samples that have no kind.
func (t tally) lateness() time.Duration { return side.Quantile(t.denials, 0.99) }

// just reports whether a rate that broke the bound almost held it.
func (a *arena) just(t tally) bool {
	return bound{3 * a.bound.p99, 3 * a.bound.failed}.holds(t)
}

// resident returns the resident memory of a process in bytes, at little cost to it.
func resident(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, fmt.Errorf("parse the memory of process %d: %q", pid, text)
	}
	pages, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0, fmt.Errorf("parse the memory of process %d: %w", pid, err)
	}
	return pages * os.Getpagesize(), nil
}
