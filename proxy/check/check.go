// Package check probes servers, and tells their health what it saw.
package check

import (
	"context"
	"crypto/tls"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// minGap bounds how fast probes of a server follow each other, whatever asks for
// them.
const minGap = 50 * time.Millisecond

// Checker probes one server.
type Checker struct {
	server  *upstream.Server
	check   proxy.Check
	random  *rand.Rand
	observe func(*upstream.Server, upstream.Verdict)

	probe probe
	way   atomic.Pointer[Way]
	nowC  chan struct{} // holds a request for an immediate probe
}

// Way is how a server is spoken to. The zero value is in plain.
type Way struct {
	// TLS names the server, and is not changed any more; nil: there is none.
	TLS *tls.Config
	// Header of the PROXY protocol, that begins each connection. It says that the
	// connection is this node's own.
	Header proxy.ProxyVersion
}

// A probe looks at a server once. Evidence says what it saw, good or bad.
type probe func(context.Context, Way) (evidence string, saw sight)

// sight is what a probe saw of a server.
type sight uint8

const (
	sawGood    sight = iota
	sawBad           // it is the server's fault, as far as can be known
	sawNothing       // this host had no descriptor, port or memory to look
)

// New returns a checker of server, whose check must be of a kind other than
// proxy.CheckNone. It owns random, the source of the jitter. Observe is called
// from Run when the server's health changed; it must not block.
func New(server *upstream.Server, random *rand.Rand, observe func(*upstream.Server, upstream.Verdict)) *Checker {
	c := &Checker{
		server:  server,
		check:   server.Check(),
		random:  random,
		observe: observe,
		nowC:    make(chan struct{}, 1),
	}
	c.probe = newProbe(server.Address(), c.check)
	c.Speak(Way{})
	return c
}

// Speak has the probes that begin from now on go that way.
func (c *Checker) Speak(w Way) { c.way.Store(&w) }

// Now asks for a probe at once. Requests that come while one waits or is being
// served become one.
func (c *Checker) Now() {
	select {
	case c.nowC <- struct{}{}:
	default:
	}
}

// Run probes the server until ctx ends: at once, then at the check's interval,
// never twice at the same time. It returns nil.
func (c *Checker) Run(ctx context.Context) error {
	for {
		started := time.Now()
		c.once(ctx)
		if !c.wait(ctx, started) {
			return nil
		}
	}
}

// wait waits for the time of the next probe. It reports false when ctx ended.
func (c *Checker) wait(ctx context.Context, started time.Time) bool {
	next := started.Add(jitter(c.random, c.check.Every))
	t := time.NewTimer(time.Until(next))
	defer t.Stop()
	nowC := c.nowC
	for {
		select {
		case <-ctx.Done():
			return false
		case <-t.C:
			c.drop()
			return ctx.Err() == nil
		case <-nowC:
			nowC = nil
			if soon := started.Add(minGap); soon.Before(next) {
				t.Reset(time.Until(soon))
			}
		}
	}
}

// drop forgets a request that the probe about to begin answers.
func (c *Checker) drop() {
	select {
	case <-c.nowC:
	default:
	}
}

func (c *Checker) once(ctx context.Context) {
	probeCtx, cancel := context.WithTimeout(ctx, c.check.Timeout)
	defer cancel()
	evidence, saw := c.probe(probeCtx, *c.way.Load())
	if ctx.Err() != nil || saw == sawNothing {
		return // it was stopped, and the probe cut short; or there is nothing to be said
	}
	verdict := c.server.CheckFailed
	if saw == sawGood {
		verdict = c.server.CheckPassed
	}
	if v := verdict(time.Now(), evidence); v.Changed {
		c.observe(c.server, v)
	}
}

// jitter spreads d by up to a tenth in both directions, so that probes of many
// servers, and those of the two nodes, do not fall into step.
func jitter(r *rand.Rand, d time.Duration) time.Duration {
	spread := d / 10
	return d - spread + time.Duration(r.Int64N(int64(2*spread)+1))
}
