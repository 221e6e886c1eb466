package l4

import (
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/stats"
	"github.com/tandemlb/tandem/proxy/tunnel"
)

// unserved is the number of the end of a connection that no server got, behind those of
// a tunnel.
const unserved = int(tunnel.Aborted) + 1

// ends are the names of how connections end, by number.
var ends = []string{
	tunnel.Closed: "closed", tunnel.Broken: "broken", tunnel.Unanswered: "unanswered", tunnel.Silent: "silent", tunnel.Aborted: "aborted",
	unserved: "unserved",
}

// Count has connections written down in the pages of r. It is called before c is used.
func (c *Config) Count(r *stats.Registry) {
	kind := stats.Kind{Protocol: string(proxy.TCP), Ends: ends}
	c.home = r.Page(stats.Key{Listener: c.Listener.Name}, kind)
	for name, to := range c.known {
		to.page = r.Page(stats.Key{Listener: c.Listener.Name, Pool: name}, kind)
	}
}

// books are where a connection is written down: its listener's page, and the page of the
// pool that it goes to, which is the same one until that is known.
type books struct {
	home, page *stats.Shard
	opened     time.Time
}

// open opens the books on a connection.
func (a *attempt) open() {
	home := a.conf.home.Shard(a.loop.ID())
	home.Begin()
	a.books = books{home, home, a.loop.Now()}
}

// close closes them; end is that of the tunnel, if there was one.
func (a *attempt) close(end tunnel.End) {
	n := int(end)
	if a.server == nil {
		n = unserved
	}
	a.page.Total.Observe(a.loop.Now().Sub(a.opened))
	a.page.End(n)
	a.home.Finish()
}
