package upstream

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/proxy"
)

func spec(change ...func(*proxy.Pool)) proxy.Pool {
	p := proxy.Pool{Name: "web", Balance: proxy.RoundRobin, Check: checked}
	for _, a := range []string{"192.0.2.1:80", "192.0.2.2:80", "192.0.2.3:80"} {
		p.Servers = append(p.Servers, proxy.Server{Weight: 1, Name: a, Address: netip.MustParseAddrPort(a)})
	}
	for _, c := range change {
		c(&p)
	}
	return p
}

func mustPool(t testing.TB, spec proxy.Pool, old *Pool) *Pool {
	t.Helper()
	p, err := NewPool(spec, old, start)
	if err != nil {
		t.Fatalf("NewPool: %v", err)
	}
	return p
}

func TestNewPoolRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*proxy.Pool)
		want   string
	}{
		{"unknown balance", func(p *proxy.Pool) { p.Balance = "luck" }, `pool "web": unknown balance "luck" (known: round_robin, least_connections, least_response_time, client_ip_hash, consistent_hash, random)`},
		{"server twice", func(p *proxy.Pool) { p.Servers[2] = p.Servers[0] }, `pool "web": server 192.0.2.1:80 is listed twice`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NewPool(spec(tt.change), nil, start)
			if err == nil || err.Error() != tt.want {
				t.Errorf("NewPool = %v, want %s", err, tt.want)
			}
		})
	}
}

func TestPick(t *testing.T) {
	tests := []struct {
		name  string
		down  []int
		tried []int
		want  []string
	}{
		{"in turn", nil, nil, []string{"192.0.2.1:80", "192.0.2.2:80", "192.0.2.3:80", "192.0.2.1:80"}},
		{"passes over the one that is down", []int{1}, nil, []string{"192.0.2.1:80", "192.0.2.3:80", "192.0.2.1:80"}},
		{"passes over those tried", nil, []int{0, 1}, []string{"192.0.2.3:80", "192.0.2.3:80"}},
		{"none left", []int{0}, []int{1, 2}, []string{"none"}},
		{"all down", []int{0, 1, 2}, nil, []string{"none"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := mustPool(t, spec(), nil)
			for _, i := range tt.down {
				p.Servers()[i].CheckFailed(start, "failed")
			}
			var tried []*Server
			for _, i := range tt.tried {
				tried = append(tried, p.Servers()[i])
			}
			var got []string
			for range tt.want {
				s, refusal := p.Pick(&Ask{Now: start, Tried: tried})
				if refusal == NoServer {
					got = append(got, "none")
					continue
				}
				got = append(got, s.Address().String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("picks (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPickTriesAgainWhatWasSetAside(t *testing.T) {
	p := mustPool(t, spec(func(p *proxy.Pool) { p.Check, p.Servers = nothing, p.Servers[:1] }), nil)
	for range uncheckedFall {
		p.Servers()[0].ConnectFailed(start, "refused")
	}
	if _, r := p.Pick(&Ask{Now: start.Add(asideFor - time.Nanosecond)}); r != NoServer {
		t.Error("picked while it is set aside")
	}
	if _, r := p.Pick(&Ask{Now: start.Add(asideFor)}); r != Picked {
		t.Error("not picked after it was set aside")
	}
}

func TestReloadKeepsServersByIdentity(t *testing.T) {
	added := proxy.Server{Weight: 1, Name: "new", Address: netip.MustParseAddrPort("192.0.2.9:80")}
	tests := []struct {
		name   string
		change func(*proxy.Pool)
		want   []int // index of the server kept, or -1
	}{
		{"server removed", func(p *proxy.Pool) { p.Servers = p.Servers[1:] }, []int{1, 2}},
		{"server added in front", func(p *proxy.Pool) { p.Servers = slices.Insert(p.Servers, 0, added) }, []int{-1, 0, 1, 2}},
		{"server renamed", func(p *proxy.Pool) { p.Servers[1].Name = "big" }, []int{0, 1, 2}},
		{"order changed", func(p *proxy.Pool) { slices.Reverse(p.Servers) }, []int{2, 1, 0}},
		{"server on another port", func(p *proxy.Pool) { p.Servers[0].Address = netip.MustParseAddrPort("192.0.2.1:81") }, []int{-1, 1, 2}},
		{"other check", func(p *proxy.Pool) { p.Check.Rise = 5 }, []int{-1, -1, -1}},
		{"other pool", func(p *proxy.Pool) { p.Name = "api" }, []int{-1, -1, -1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := mustPool(t, spec(), nil)
			after := mustPool(t, spec(tt.change), before)
			var got []int
			for _, s := range after.Servers() {
				got = append(got, slices.Index(before.Servers(), s))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("servers kept (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReloadWithoutChangeKeepsThePool(t *testing.T) {
	before := mustPool(t, spec(), nil)
	if after := mustPool(t, spec(), before); after != before {
		t.Error("NewPool made a new pool although nothing changed")
	}
}
