package udp

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/census"
	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/udp/mmsg"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// Config is what a Proxy goes by. It is not changed once in use.
type Config struct {
	Listener proxy.Listener
	Pools    []Share // where new sessions go

	// Observe is called when what became of a session changed a server's health or asks
	// for a check. It must not block.
	Observe func(*upstream.Server, upstream.Verdict)
}

// Share is the part of the sessions that goes to one pool.
type Share struct {
	Pool   *upstream.Pool
	Weight int // relative to the sum of all
}

// Engine has what the proxies on the same loops share.
type Engine struct {
	reactor *reactor.Reactor
	lanes   []*lane // one for each loop
	placed  atomic.Uint32
}

// lane is the buffers of a loop, used by one function of the loop at a time.
type lane struct {
	loop *reactor.Loop
	in   *mmsg.Receiver // made with the first socket, as is out
	out  *mmsg.Sender

	single *mmsg.Sender // for what is sent again in another form

	next    [mmsg.Size]int8 // chains messages of one session
	touched []*session      // that have messages in this batch
}

// NewEngine returns an engine for the loops of r.
func NewEngine(r *reactor.Reactor) *Engine {
	e := &Engine{reactor: r}
	for _, l := range r.Loops() {
		e.lanes = append(e.lanes, &lane{loop: l})
	}
	return e
}

// Proxy serves one UDP listener. Multiple goroutines may invoke methods on a Proxy at
// the same time.
type Proxy struct {
	engine *Engine
	conf   atomic.Pointer[Config]

	mu       sync.Mutex
	binds    []*bind // also those that only send answers any more
	clients  census.Census
	open     atomic.Int64 // sessions
	draining atomic.Bool
	ended    chan struct{} // holds word that a session has ended

	counts counts
}

// New returns a proxy that goes by c.
func (e *Engine) New(c Config) *Proxy {
	p := &Proxy{engine: e, ended: make(chan struct{}, 1)}
	p.conf.Store(&c)
	return p
}

// Configure makes new sessions go by c. The others stay with their server, unless it is
// drained or gone: then they end when the pool's Drain is over.
func (p *Proxy) Configure(c Config) {
	p.conf.Store(&c)
	p.each((*bind).revise)
}

// Listen serves the datagrams that come to the bound socket s, which stays the caller's,
// until stop is called; that returns when none is taken any more. Sessions live on, to
// bring answers. The loops are running. The socket may be shared with another process that serves it, each
// datagram goes to one of them: so there is one that does, and others that have stopped.
//
// A socket belongs to one loop, and so do its sessions. Where one core is too few, bind
// several addresses.
func (p *Proxy) Listen(s syscall.Conn) (stop func(), err error) {
	shared, err := mmsg.Share(s)
	if err != nil {
		return nil, err
	}
	e := p.engine
	b := newBind(p, e.lanes[int(e.placed.Add(1)-1)%len(e.lanes)], shared)
	began := make(chan error, 1)
	if err := b.lane.loop.Post(func() { began <- b.begin() }); err != nil {
		shared.Close()
		return nil, err
	}
	if err := <-began; err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.binds = append(p.binds, b)
	return func() {
		stopped := make(chan struct{})
		if b.lane.loop.Post(func() { b.stop(); close(stopped) }) == nil {
			<-stopped
		}
	}, nil
}

// Shutdown ends each session after a silence of at most [quiet], so that answers that
// are on their way arrive, and all that are left when ctx ends. Every stop has been
// called before. It comes before the end of the loops.
func (p *Proxy) Shutdown(ctx context.Context) {
	p.draining.Store(true)
	p.each((*bind).revise)
	for p.open.Load() > 0 {
		select {
		case <-p.ended:
		case <-ctx.Done():
			p.each((*bind).cut).Wait()
			return
		}
	}
}

// each calls f for each socket, on its loop. Who waits for the end of it waits for that.
func (p *Proxy) each(f func(*bind)) *sync.WaitGroup {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.binds = slices.DeleteFunc(p.binds, func(b *bind) bool { return b.closed.Load() })
	var called sync.WaitGroup
	for _, b := range p.binds {
		called.Add(1)
		if b.lane.loop.Post(func() { defer called.Done(); f(b) }) != nil {
			called.Done() // the loop has ended
		}
	}
	return &called
}

// notify tells Shutdown that a session has ended.
func (p *Proxy) notify() {
	p.open.Add(-1)
	select {
	case p.ended <- struct{}{}:
	default:
	}
}

// Traffic returns the counters. A session is a connection in them.
func (p *Proxy) Traffic() proxy.Traffic {
	t := p.counts.traffic()
	t.Open = p.open.Load()
	return t
}
