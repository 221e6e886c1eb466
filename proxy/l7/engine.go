// Package l7 carries HTTP requests to servers, request by request. It runs on the
// loops of package reactor, and reads and writes messages with package http1.
package l7

import (
	crand "crypto/rand"
	"math/rand/v2"
	"slices"

	"github.com/tandemlb/tandem/proxy/accesslog"
	"github.com/tandemlb/tandem/proxy/forward"
	"github.com/tandemlb/tandem/proxy/http1"
	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/reactor/tlsconn"
	"github.com/tandemlb/tandem/proxy/stats"
	"github.com/tandemlb/tandem/proxy/trace"
	"github.com/tandemlb/tandem/proxy/tunnel"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// Engine is what the HTTP listeners of a process share: the loops that they run on,
// and what belongs to each of these. Multiple goroutines may use it at the same time.
type Engine struct {
	reactor *reactor.Reactor
	options Options
	limits  http1.Limits // of responses
	locals  []*local     // by loop
}

// Options configure an Engine.
type Options struct {
	// Observe is called when a connect changed a server's health or asks for a
	// check. It must not block.
	Observe func(*upstream.Server, upstream.Verdict)

	// Overloaded reports whether the node is short of memory or descriptors: then new
	// requests are refused. It is asked for each, on any loop; nil: never.
	Overloaded func() bool

	// Access is where finished requests are told to; nil: nowhere.
	Access *accesslog.Log

	// Stats are the books, for as many loops as there are; nil: nobody reads them.
	Stats *stats.Registry

	// Tracer chooses the requests that are recorded; nil: none is.
	Tracer *trace.Tracer
}

// local is what belongs to one loop, and is used by nothing but what runs there.
type local struct {
	engine  *Engine
	loop    *reactor.Loop
	answers []*answer   // as those below
	free    []*exchange // the one used last at the end: it is in the cache
	spare   int         // how many of them nobody has needed since the last trim
	uses    int         // since then
	buffers [][]byte    // of copySize
	relay   []byte      // of tunnels
	ids     *forward.IDs
	random  *rand.PCG         // for choices, which nobody gains by foreseeing
	access  *accesslog.Buffer // nil without a log
	traces  *trace.Buffer     // nil without a tracer
}

const (
	// maxFree is how many exchanges a loop keeps for later, trimEvery after how many
	// uses it gives up some of those that nobody needed meanwhile.
	maxFree   = 4096
	trimEvery = 1024

	// maxBuffers is how many buffers of copySize a loop keeps for later.
	maxBuffers = 64
)

// NewEngine returns an engine on the loops of r, which outlives it.
func NewEngine(r *reactor.Reactor, o Options) *Engine {
	if o.Stats == nil {
		o.Stats = stats.NewRegistry(len(r.Loops()))
	}
	e := &Engine{reactor: r, options: o, limits: responseLimits()}
	for _, l := range r.Loops() {
		var seed [32]byte
		_, _ = crand.Read(seed[:]) // it never fails
		at := &local{
			engine: e, loop: l, ids: forward.NewIDs(seed), random: rand.NewPCG(rand.Uint64(), rand.Uint64()),
			relay: make([]byte, tunnel.ScratchSize),
		}
		if o.Access != nil {
			at.access = o.Access.NewBuffer()
		}
		if o.Tracer != nil {
			at.traces = o.Tracer.NewBuffer(rand.NewPCG(rand.Uint64(), rand.Uint64())) // shown to others, unlike the choices of random
		}
		e.locals = append(e.locals, at)
	}
	return e
}

// responseLimits are wider than those of requests: servers are not strangers.
func responseLimits() http1.Limits {
	l := http1.DefaultLimits()
	l.Line, l.Header, l.Fields = 16<<10, 64<<10, 200
	return l
}

// copySize is the size of a buffer that a body is copied through.
const copySize = 64 << 10

// borrow returns a buffer of copySize, for giveBack.
func (l *local) borrow() []byte {
	if n := len(l.buffers); n > 0 {
		b := l.buffers[n-1]
		l.buffers = l.buffers[:n-1]
		return b
	}
	return make([]byte, copySize)
}

func (l *local) giveBack(b []byte) {
	if len(l.buffers) < maxBuffers {
		l.buffers = append(l.buffers, b)
	}
}

// take returns an exchange for a client that has something to say.
func (l *local) take(p *Proxy, client tlsconn.Stream) *exchange {
	var x *exchange
	if n := len(l.free); n > 0 {
		x = l.free[n-1]
		l.free[n-1] = nil
		l.free = l.free[:n-1]
		l.spare = min(l.spare, n-1)
	} else {
		x = newExchange(l)
		l.spare = 0
	}
	x.p, x.client = p, client
	return x
}

// put takes an exchange back that holds nothing any more.
func (l *local) put(x *exchange) {
	x.p, x.client, x.conf = nil, tlsconn.Stream{}, nil
	if len(l.free) < maxFree {
		l.free = append(l.free, x)
	}
	if l.uses++; l.uses >= trimEvery {
		l.trim()
	}
}

// trim gives up half of the exchanges that were not needed lately, those at the
// bottom: what a burst has taken is returned when it is over.
func (l *local) trim() {
	l.free = slices.Delete(l.free, 0, l.spare/2)
	l.spare, l.uses = len(l.free), 0
}
