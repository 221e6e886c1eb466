package config_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/config"
	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/vrrp"
)

func TestWorkingPair(t *testing.T) {
	got := parse(t, `
nodes: {lb1: 192.0.2.11, lb2: 192.0.2.12}
vip: 192.0.2.100/24
listeners:
  web: {bind: ":80", servers: [192.0.2.21:8080, 192.0.2.22:8080], check: GET /healthz}
`)
	want := &config.Config{
		Nodes: []config.Node{
			{Name: "lb1", Address: netip.MustParseAddr("192.0.2.11")},
			{Name: "lb2", Address: netip.MustParseAddr("192.0.2.12")},
		},
		Cluster: config.Cluster{Port: 7946},
		VIPs: []config.VIP{{
			Name:         "main",
			Prefixes:     []netip.Prefix{netip.MustParsePrefix("192.0.2.100/24")},
			RouterID:     100,
			Prefer:       "lb1",
			Priority:     map[string]uint8{"lb1": 200, "lb2": 150},
			Preempt:      true,
			PreemptDelay: 3 * time.Second,
			Advertise:    100 * time.Millisecond,
			Version:      3,
			Group:        "main",
			Lease:        2 * time.Second,
			Track:        config.Track{Servers: true},
		}},
		Proxy: proxy.Spec{
			Listeners: []proxy.Listener{{
				Name:     "web",
				Bind:     []netip.AddrPort{netip.MustParseAddrPort("[::]:80")},
				Protocol: proxy.HTTP,
				Routes:   []proxy.Route{{Split: []proxy.Share{{Pool: "web", Weight: 1}}}},
				Limits: proxy.ListenerLimits{
					Connections: 20_000, LineBytes: 8 << 10, HeaderBytes: 32 << 10, Headers: 100, MinRate: 240,
				},
				Timeouts: proxy.ListenerTimeouts{
					Header: 10 * time.Second, BodyIdle: 30 * time.Second, WriteIdle: 30 * time.Second,
					Idle: time.Minute, Tunnel: time.Hour,
				},
			}},
			Pools: []proxy.Pool{{
				Name: "web",
				Servers: []proxy.Server{
					{Name: "192.0.2.21:8080", Address: netip.MustParseAddrPort("192.0.2.21:8080"), Weight: 1},
					{Name: "192.0.2.22:8080", Address: netip.MustParseAddrPort("192.0.2.22:8080"), Weight: 1},
				},
				Balance: proxy.RoundRobin,
				Check: proxy.Check{
					Kind: proxy.CheckHTTP, Method: "GET", Path: "/healthz",
					Expect: proxy.StatusRange{Low: 200, High: 299},
					Every:  2 * time.Second, Timeout: time.Second, Rise: 2, Fall: 3,
				},
				Retry: proxy.Retry{
					Attempts: 1, On: []proxy.RetryOn{proxy.RetryConnect, proxy.RetryReset}, Budget: 0.2, Backoff: 25 * time.Millisecond,
				},
				Timeouts: proxy.PoolTimeouts{
					Connect: 2 * time.Second, Response: 30 * time.Second, BodyIdle: 5 * time.Minute, Idle: time.Minute,
				},
				Limits: proxy.PoolLimits{Idle: 1024, Age: 10 * time.Minute},
				Drain:  30 * time.Second,
			}},
			Log: proxy.Log{Access: true, Sample: 1, RequestID: "x-request-id"},
		},
		Log:   config.Log{Level: "info"},
		Admin: config.Admin{Socket: config.DefaultSocket},
		State: config.DefaultState,
	}
	if diff := cmp.Diff(want, got, values); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
}

func TestFileOrderIsKept(t *testing.T) {
	c := parse(t, `
listeners:
  z: {bind: ":1", servers: 192.0.2.1:1}
  a: {bind: ":2", pool: y}
  m: {bind: ":3", servers: 192.0.2.1:1}
pools:
  y: {servers: 192.0.2.1:1}
  b: {servers: 192.0.2.1:1}
`)
	var listeners, pools []string
	for _, l := range c.Proxy.Listeners {
		listeners = append(listeners, l.Name+" -> "+strings.Join(l.Pools(), ", "))
	}
	for _, p := range c.Proxy.Pools {
		pools = append(pools, p.Name)
	}
	if diff := cmp.Diff([]string{"z -> z", "a -> y", "m -> m"}, listeners); diff != "" {
		t.Errorf("listeners (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"y", "b", "z", "m"}, pools); diff != "" {
		t.Errorf("pools (-want +got):\n%s", diff)
	}
}

func TestPreference(t *testing.T) {
	tests := []struct {
		name     string
		settings string
		prefer   string
		priority map[string]uint8
	}{
		{"nothing set", "", "lb1", map[string]uint8{"lb1": 200, "lb2": 150}},
		{"second node preferred", "prefer: lb2", "lb2", map[string]uint8{"lb1": 150, "lb2": 200}},
		{"both priorities set", "priority: {lb1: 5, lb2: 6}", "lb2", map[string]uint8{"lb1": 5, "lb2": 6}},
		{"one priority above the default", "priority: {lb2: 254}", "lb2", map[string]uint8{"lb1": 200, "lb2": 254}},
		{"one priority below the default", "priority: {lb1: 1}", "lb2", map[string]uint8{"lb1": 1, "lb2": 150}},
		{"preferred and highest", "prefer: lb2, priority: {lb1: 100}", "lb2", map[string]uint8{"lb1": 100, "lb2": 200}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := parse(t, "nodes: {lb1: 192.0.2.11, lb2: 192.0.2.12}\nvips: {main: {addresses: 192.0.2.100/24, "+tt.settings+"}}").VIPs[0]
			if v.Prefer != tt.prefer {
				t.Errorf("Prefer = %q, want %q", v.Prefer, tt.prefer)
			}
			if diff := cmp.Diff(tt.priority, v.Priority); diff != "" {
				t.Errorf("Priority (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOneNodeMayHoldVIP(t *testing.T) {
	v := parse(t, "nodes: {only: 192.0.2.11}\nvip: 192.0.2.100/24").VIPs[0]
	if diff := cmp.Diff(map[string]uint8{"only": 200}, v.Priority); diff != "" {
		t.Errorf("Priority (-want +got):\n%s", diff)
	}
}

func TestDefaultCheckTimeoutFollowsPace(t *testing.T) {
	tests := []struct {
		name, check string
		timeout     time.Duration
	}{
		{"default pace", "{tcp: true}", time.Second},
		{"slower", "{tcp: true, every: 10s}", time.Second},
		{"faster", "{tcp: true, every: 250ms}", 250 * time.Millisecond},
		{"as long as the pace", "{tcp: true, every: 10s, timeout: 10s}", 10 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := parse(t, "pools: {web: {servers: 192.0.2.21:80, check: "+tt.check+"}}")
			if got := c.Proxy.Pools[0].Check.Timeout; got != tt.timeout {
				t.Errorf("Timeout = %s, want %s", got, tt.timeout)
			}
		})
	}
}

func TestSameRouterIDOnOtherInterface(t *testing.T) {
	c := parse(t, `
nodes: {lb1: 192.0.2.11, lb2: 192.0.2.12}
vips:
  a: {addresses: 192.0.2.100/24, interface: eth0}
  b: {addresses: 198.51.100.100/24, interface: eth1}
`)
	if a, b := c.VIPs[0].RouterID, c.VIPs[1].RouterID; a != 100 || b != 100 {
		t.Errorf("router ids = %d and %d, want both 100", a, b)
	}
}

func TestBindsThatDoNotOverlap(t *testing.T) {
	parse(t, `
listeners:
  a: {bind: [":80", "192.0.2.1:81", "192.0.2.2:81", "[::1]:81", "0.0.0.0:82", "[2001:db8::1]:82"], servers: 192.0.2.21:80}
`)
}

func TestRouters(t *testing.T) {
	c := parse(t, `
nodes: {lb1: 192.0.2.11, lb2: 192.0.2.12}
vips:
  front: {addresses: [192.0.2.100/24, "2001:db8::100/64", 192.0.2.101/24], checksum: rfc9568}
  back: {addresses: 198.51.100.7/24, prefer: lb2, preempt: false, advertise: 10ms, unicast: true}
  old: {addresses: 198.51.100.8/24, version: 2}
  own: {addresses: [192.0.2.12/24, 192.0.2.112/24], router_id: 9}
`)
	addrs := func(list ...string) (addrs []netip.Addr) {
		for _, s := range list {
			addrs = append(addrs, netip.MustParseAddr(s))
		}
		return addrs
	}
	type router struct {
		Name     string
		Prefixes string
		Params   vrrp.Params
	}
	want := []router{
		{"front/4", "[192.0.2.100/24 192.0.2.101/24]", vrrp.Params{
			Version: 3, VRID: 100, Priority: 150, Preempt: true, PreemptDelay: 3 * time.Second, Interval: 100 * time.Millisecond,
			Addresses: addrs("192.0.2.100", "192.0.2.101"), Checksum: vrrp.ChecksumRFC9568,
		}},
		{"front/6", "[fe80::200:5eff:fe00:264/64 2001:db8::100/64]", vrrp.Params{
			Version: 3, VRID: 100, Priority: 150, Preempt: true, PreemptDelay: 3 * time.Second, Interval: 100 * time.Millisecond,
			Addresses: addrs("fe80::200:5eff:fe00:264", "2001:db8::100"), Checksum: vrrp.ChecksumRFC9568,
		}},
		{"back", "[198.51.100.7/24]", vrrp.Params{
			Version: 3, VRID: 7, Priority: 200, Preempt: false, Interval: 10 * time.Millisecond,
			Addresses: addrs("198.51.100.7"), Peers: addrs("192.0.2.11"),
		}},
		{"old", "[198.51.100.8/24]", vrrp.Params{
			Version: 2, VRID: 8, Priority: 150, Preempt: true, PreemptDelay: 3 * time.Second, Interval: time.Second,
			Addresses: addrs("198.51.100.8"),
		}},
		{"own", "[192.0.2.112/24]", vrrp.Params{
			Version: 3, VRID: 9, Priority: 255, Preempt: true, PreemptDelay: 3 * time.Second, Interval: 100 * time.Millisecond,
			Addresses: addrs("192.0.2.12", "192.0.2.112"),
		}},
	}
	var got []router
	for _, r := range c.Routers(c.Nodes[1]) {
		got = append(got, router{r.Name, fmt.Sprint(r.Prefixes), r.Params})
	}
	if diff := cmp.Diff(want, got, values); diff != "" {
		t.Errorf("routers of lb2 (-want +got):\n%s", diff)
	}
	other := c.Routers(c.Nodes[0])
	if own := other[len(other)-1]; own.Params.Priority != 200 && own.Params.Priority != 150 || len(own.Prefixes) != 2 {
		t.Errorf("lb1 stands by for lb2's own address with %+v", own)
	}
}

// The link-local address of a virtual router may be written out or left to be
// derived: the nodes agree.
func TestLinkLocalAddress(t *testing.T) {
	const pair = "nodes: {lb1: 192.0.2.11, lb2: 192.0.2.12}\nvips: {main: {router_id: 51, addresses: "
	derived := parse(t, pair+`"2001:db8::100/64"}}`)
	written := parse(t, pair+`["2001:db8::100/64", "fe80::200:5eff:fe00:233/64"]}}`)
	if derived.Hash() != written.Hash() {
		t.Errorf("hash %s with a derived link-local address, %s with the same written", derived.Hash(), written.Hash())
	}
	if got := parse(t, pair+`["2001:db8::100/64", "fe80::51/64"]}}`).VIPs[0].Prefixes[0].String(); got != "fe80::51/64" {
		t.Errorf("first address %s", got)
	}
}

// A lowered node ranks below any that is not, and two lowered ones keep their
// order.
func TestPenalty(t *testing.T) {
	for _, text := range []string{"{lb1: 200, lb2: 150}", "{lb1: 101, lb2: 100}", "{lb1: 254, lb2: 200}", "{lb1: 4, lb2: 3}", "{lb1: 10, lb2: 150}"} {
		v := parse(t, "nodes: {lb1: 192.0.2.11, lb2: 192.0.2.12}\nvips: {main: {addresses: 192.0.2.100/24, priority: "+text+", track: {gateway: 192.0.2.1}}}\n").VIPs[0]
		high, low := max(v.Priority["lb1"], v.Priority["lb2"]), min(v.Priority["lb1"], v.Priority["lb2"])
		if lowered := high - v.Penalty(); lowered >= low || lowered < 2 {
			t.Errorf("priority %s: %d lowered by %d is %d, beside %d", text, high, v.Penalty(), lowered, low)
		}
	}
}

func TestPreempt(t *testing.T) {
	for text, want := range map[string]struct {
		preempt bool
		delay   time.Duration
	}{
		"true":  {true, 3 * time.Second},
		"false": {false, 0},
		"0s":    {true, 0},
		"3s":    {true, 3 * time.Second},
		"1h":    {true, time.Hour},
	} {
		v := parse(t, "nodes: {lb1: 192.0.2.11, lb2: 192.0.2.12}\nvips: {main: {addresses: 192.0.2.100/24, preempt: "+text+"}}\n").VIPs[0]
		if v.Preempt != want.preempt || v.PreemptDelay != want.delay {
			t.Errorf("preempt: %s is %v after %v, want %v after %v", text, v.Preempt, v.PreemptDelay, want.preempt, want.delay)
		}
	}
}

func TestTooManyAddresses(t *testing.T) {
	list := func(n int) string {
		var addrs []string
		for i := range n {
			addrs = append(addrs, fmt.Sprintf("10.0.%d.%d/16", 1+i/200, 1+i%200))
		}
		return "nodes: {lb1: 10.0.0.1}\nvip: [" + strings.Join(addrs, ", ") + "]"
	}
	if got := len(parse(t, list(255)).VIPs[0].Prefixes); got != 255 {
		t.Errorf("%d addresses, want 255", got)
	}
	_, err := config.Parse("test.yaml", []byte(list(256)))
	var errs config.Errors
	if !errors.As(err, &errs) || len(errs) != 1 {
		t.Fatalf("Parse = %v, want one error", err)
	}
	const want = "vip: an advertisement holds at most 255 addresses: move the rest to another VIP"
	if errs[0].Message != want {
		t.Errorf("message = %q, want %q", errs[0].Message, want)
	}
}
