package worker

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/upstream"
)

func TestChecksFollowTheServers(t *testing.T) {
	probed := newSpecPool("db", netip.MustParseAddrPort("127.0.0.1:1"), netip.MustParseAddrPort("127.0.0.1:2"))
	probed.Check = proxy.Check{Kind: proxy.CheckTCP, Every: time.Hour, Timeout: time.Second, Rise: 1, Fall: 1}
	unchecked := newSpecPool("web", netip.MustParseAddrPort("127.0.0.1:3"))
	servers := func(spec proxy.Pool) []checked {
		t.Helper()
		p, err := upstream.NewPool(spec, nil, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return (&pool{servers: p}).checked()
	}
	a, b, free := servers(probed)[0], servers(probed)[1], servers(unchecked)[0]

	c := newChecks(func(*upstream.Server, upstream.Verdict) {})
	c.set([]checked{a, free})
	first := c.running[a.Server].checker
	c.set([]checked{a, b})
	if len(c.running) != 2 || c.running[a.Server].checker != first || c.running[b.Server].checker == nil {
		t.Errorf("running = %v, want the checker of a as it was, and one of b", c.running)
	}
	c.now(free.Server) // has no checker: nothing to ask
	c.close()          // returns: all have stopped
	if len(c.running) != 0 {
		t.Errorf("running after close = %v", c.running)
	}
}

func TestChecksGoTheWayOfThePool(t *testing.T) {
	spec := newSpecPool("db", netip.MustParseAddrPort("127.0.0.1:1"))
	spec.SendProxy = proxy.ProxyV2
	p, err := upstream.NewPool(spec, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if way := (&pool{servers: p}).checked()[0].way; way.Header != proxy.ProxyV2 || way.TLS != nil {
		t.Errorf("checks go %+v", way)
	}
}
