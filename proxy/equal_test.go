package proxy

import (
	"net/netip"
	"testing"
	"time"
)

func TestPoolEqual(t *testing.T) {
	pool := func(change func(*Pool)) Pool {
		p := Pool{
			Name:    "web",
			Balance: RoundRobin,
			Check:   Check{Kind: CheckTCP, Every: time.Second},
			Servers: []Server{
				{Name: "a", Address: netip.MustParseAddrPort("192.0.2.1:80")},
				{Name: "b", Address: netip.MustParseAddrPort("192.0.2.2:80")},
			},
		}
		change(&p)
		return p
	}
	tests := []struct {
		name   string
		change func(*Pool)
		want   bool
	}{
		{"same", func(*Pool) {}, true},
		{"other name", func(p *Pool) { p.Name = "api" }, false},
		{"other balance", func(p *Pool) { p.Balance = "random" }, false},
		{"other check", func(p *Pool) { p.Check.Every = time.Minute }, false},
		{"other timeout", func(p *Pool) { p.Timeouts.Response = time.Minute }, false},
		{"other limit", func(p *Pool) { p.Limits.Idle = 1 }, false},
		{"server renamed", func(p *Pool) { p.Servers[0].Name = "c" }, false},
		{"server moved", func(p *Pool) { p.Servers[0].Address = netip.MustParseAddrPort("192.0.2.1:81") }, false},
		{"server removed", func(p *Pool) { p.Servers = p.Servers[:1] }, false},
		{"other order", func(p *Pool) { p.Servers[0], p.Servers[1] = p.Servers[1], p.Servers[0] }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := pool(func(*Pool) {}).Equal(pool(tt.change)); got != tt.want {
				t.Errorf("Equal = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestStatusRangeContains(t *testing.T) {
	r := StatusRange{Low: 200, High: 299}
	for code, want := range map[int]bool{199: false, 200: true, 204: true, 299: true, 300: false} {
		if got := r.Contains(code); got != want {
			t.Errorf("Contains(%d) = %v, want %v", code, got, want)
		}
	}
}
