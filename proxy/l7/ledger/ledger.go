// Package ledger keeps the books on requests of HTTP: how many there were, how they
// ended, and how long they took.
package ledger

import (
	"sync/atomic"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/accesslog"
	"github.com/tandemlb/tandem/proxy/stats"
)

// Pages are those of a listener: one for what goes to no pool, and one for each pool.
type Pages struct {
	home  *stats.Page
	pools []*stats.Page
}

// NewPages returns the pages of a listener that sends to pools.
func NewPages(r *stats.Registry, listener string, pools []string) *Pages {
	kind := stats.Kind{Protocol: string(proxy.HTTP)}
	for _, why := range accesslog.Reasons {
		kind.Ends = append(kind.Ends, string(why))
	}
	p := &Pages{home: r.Page(stats.Key{Listener: listener}, kind)}
	for _, name := range pools {
		p.pools = append(p.pools, r.Page(stats.Key{Listener: listener, Pool: name}, kind))
	}
	return p
}

// Open begins the entry of a request, on a loop.
func (p *Pages) Open(loop int) Entry {
	home := p.home.Shard(loop)
	home.Begin()
	return Entry{pages: p, loop: loop, home: home, page: home}
}

// Entry is what is written of one request. It belongs to its loop.
type Entry struct {
	pages *Pages
	loop  int
	home  *stats.Shard // nil once it is closed
	page  *stats.Shard
}

// Turn says which pool the request goes to, by its index.
func (e *Entry) Turn(pool int) { e.page = e.pages.pools[pool].Shard(e.loop) }

// Connected says how long it took to connect to a server.
func (e *Entry) Connected(took time.Duration) { e.page.Connect.Observe(took) }

// Queued says how long the request has waited for a server.
func (e *Entry) Queued(waited time.Duration) { e.page.Queue.Observe(waited) }

// Carried returns the counters of bytes from and to the client, for what follows the
// request on its connection.
func (e *Entry) Carried() (in, out *atomic.Uint64) { return &e.page.In, &e.page.Out }

// End says how a request has ended.
type End struct {
	Took, FirstByte time.Duration // since its first byte; FirstByte is 0 without a response
	Status          int           // 0: there was none
	In, Out         int64         // bytes of the bodies
	Reason          accesslog.Reason
}

// Close ends the entry.
func (e *Entry) Close(end End) {
	e.page.Total.Observe(end.Took)
	if end.FirstByte > 0 {
		e.page.FirstByte.Observe(end.FirstByte)
	}
	e.page.Respond(end.Status)
	if end.In > 0 {
		e.page.In.Add(uint64(end.In))
	}
	if end.Out > 0 {
		e.page.Out.Add(uint64(end.Out))
	}
	if end.Reason != accesslog.OK {
		e.page.End(end.Reason.Number())
	}
	e.Drop()
}

// Drop ends an entry of which nobody knows how it has ended. It does nothing to one that
// is closed, or was never begun.
func (e *Entry) Drop() {
	if e.home != nil {
		e.home.Finish()
		e.home = nil
	}
}
