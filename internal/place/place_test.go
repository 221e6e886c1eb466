package place

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/internal/config"
)

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, err := config.Parse("tandem.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

const pairConfig = `
nodes: {lb1: 192.0.2.11, lb2: 192.0.2.12}
vip: 192.0.2.100/24
listeners:
  web: {bind: ":80", servers: [192.0.2.21:8080]}
`

func TestRoutersArePlacedOnTheRightInterface(t *testing.T) {
	host := []Interface{
		{"lo", []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8")}},
		{"eth0", []netip.Prefix{netip.MustParsePrefix("192.0.2.11/24"), netip.MustParsePrefix("fe80::200:5eff:fe00:264/64"),
			netip.MustParsePrefix("2001:db8::11/64"), netip.MustParsePrefix("fe80::11/64")}},
		{"eth1", []netip.Prefix{netip.MustParsePrefix("198.51.100.100/24"), netip.MustParsePrefix("198.51.100.7/24")}},
		{"eth2", nil},
	}
	for name, tc := range map[string]struct {
		vip    string
		ifname string
		source string
		err    string
	}{
		"where the node's address lives":                      {"{addresses: 192.0.2.100/24}", "eth0", "192.0.2.11", ""},
		"named, the node's own":                               {"{addresses: 192.0.2.100/24, interface: eth0}", "eth0", "192.0.2.11", ""},
		"named, another: never the VIP":                       {"{addresses: 198.51.100.100/24, interface: eth1}", "eth1", "198.51.100.7", ""},
		"without an address":                                  {"{addresses: 198.51.100.100/24, interface: eth2}", "", "", `vip "main": interface "eth2" has no IPv4 address to advertise from`},
		"IPv6: the link-local address, never the virtual one": {`{addresses: "2001:db8::64/64"}`, "eth0", "fe80::11", ""},
		"IPv6 disabled":                                       {`{addresses: "2001:db8::64/64", interface: eth1}`, "", "", `vip "main": interface "eth1" has no link-local IPv6 address to advertise from (hint: is IPv6 disabled there? see sysctl net.ipv6.conf.eth1.disable_ipv6)`},
		"unicast: the node's own":                             {"{addresses: 192.0.2.100/24, unicast: true}", "eth0", "192.0.2.11", ""},
		"unicast elsewhere":                                   {"{addresses: 198.51.100.100/24, interface: eth1, unicast: true}", "", "", `vip "main": interface "eth1" does not have the node's address 192.0.2.11 to advertise from (hint: leave out unicast, or the interface)`},
		"not there":                                           {"{addresses: 198.51.100.100/24, interface: eth9}", "", "", `vip "main": this host has no interface "eth9"`},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := parse(t, strings.Replace(pairConfig, "vip: 192.0.2.100/24", "vips: {main: "+tc.vip+"}", 1))
			got, err := Routers(cfg, cfg.Nodes[0], host)
			switch {
			case tc.err != "":
				if err == nil || err.Error() != tc.err {
					t.Errorf("got %v, want %s", err, tc.err)
				}
			case err != nil:
				t.Error(err)
			case got[0].Interface != tc.ifname || got[0].Params.Self.String() != tc.source:
				t.Errorf("on %s from %s, want %s from %s", got[0].Interface, got[0].Params.Self, tc.ifname, tc.source)
			}
		})
	}
	t.Run("the node's address is not here", func(t *testing.T) {
		cfg := parse(t, pairConfig)
		_, err := Routers(cfg, cfg.Nodes[1], host)
		if err == nil || !strings.Contains(err.Error(), "no interface of this host has the node's address 192.0.2.12") {
			t.Errorf("got %v", err)
		}
	})
}

func TestRoutersOfBothFamilies(t *testing.T) {
	host := []Interface{{"eth0", []netip.Prefix{netip.MustParsePrefix("192.0.2.11/24"), netip.MustParsePrefix("fe80::11/64")}}}
	cfg := parse(t, strings.Replace(pairConfig, "vip: 192.0.2.100/24", `vips:
  front: {addresses: [192.0.2.100/24, "2001:db8::100/64"], virtual_mac: true, group: all, track: {interfaces: eth1, gateway: "2001:db8::1"}}
  own: {addresses: [192.0.2.11/24, 192.0.2.111/24], router_id: 9}`, 1))
	got, err := Routers(cfg, cfg.Nodes[0], host)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range got {
		lines = append(lines, fmt.Sprint(r.Name, " of ", r.VIP, " in ", r.Group, " ", r.Params.Self, " ", r.Params.Priority, " ", r.Prefixes, " ", r.VirtualMAC, " ", r.Track))
	}
	want := []string{
		"front/4 of front in all 192.0.2.11 200 [192.0.2.100/24] true {[eth1] invalid IP}",
		"front/6 of front in all fe80::11 200 [fe80::200:5eff:fe00:264/64 2001:db8::100/64] true {[eth1] 2001:db8::1}",
		"own of own in own 192.0.2.11 255 [192.0.2.111/24] false {[] invalid IP}",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("routers\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

// A container that is connected again has its address on another interface.
func TestRoutersFollowTheirAddress(t *testing.T) {
	cfg := parse(t, "nodes: {lb1: 192.0.2.11, lb2: 192.0.2.12}\nvip: 192.0.2.100/24\nlisteners: {web: {bind: \":80\", servers: [\"192.0.2.21:80\"]}}\n")
	self := cfg.Nodes[0]
	at := func(name, prefix string) Interface {
		return Interface{Name: name, Prefixes: []netip.Prefix{netip.MustParsePrefix(prefix)}}
	}
	first := []Interface{at("lo", "127.0.0.1/8"), at("eth0", "192.0.2.11/24")}
	routers, err := Routers(cfg, self, first)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		host []Interface
		want string // the interface; empty: nothing is to change
	}{
		"the same":                 {first, ""},
		"its address has moved":    {[]Interface{at("eth0", "192.0.2.9/24"), at("eth1", "192.0.2.11/24")}, ""},
		"it is gone":               {first[:1], ""},
		"another in its place":     {[]Interface{first[0], at("eth1", "192.0.2.11/24")}, "eth1"},
		"another one, not the one": {[]Interface{first[0], at("eth1", "192.0.2.13/24")}, ""},
	} {
		next, moved := follow(Placed{cfg, self, routers}, tc.host)
		if moved != (tc.want != "") || moved && next[0].Interface != tc.want {
			t.Errorf("%s: %t, %+v", name, moved, next)
		}
	}
}

// Over IPv6 a router advertises from an address that comes of the interface's MAC address.
func TestRoutersFollowTheirLinkLocalAddress(t *testing.T) {
	cfg := parse(t, "nodes: {lb1: 192.0.2.11, lb2: 192.0.2.12}\nvip: \"2001:db8::64/64\"\nlisteners: {web: {bind: \":80\", servers: [\"192.0.2.21:80\"]}}\n")
	self := cfg.Nodes[0]
	eth0 := func(more ...string) []Interface {
		i := Interface{Name: "eth0", Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.11/24")}}
		for _, p := range more {
			i.Prefixes = append(i.Prefixes, netip.MustParsePrefix(p))
		}
		return []Interface{i}
	}
	routers, err := Routers(cfg, self, eth0("fe80::11/64"))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		host []Interface
		want string // the address; empty: nothing is to change
	}{
		"the same":         {eth0("fe80::11/64"), ""},
		"one more":         {eth0("fe80::1/64", "fe80::11/64"), ""},
		"none, for now":    {eth0(), ""},
		"another MAC":      {eth0("fe80::12/64"), "fe80::12"},
		"a global one too": {eth0("2001:db8::11/64", "fe80::12/64"), "fe80::12"},
	} {
		next, moved := follow(Placed{cfg, self, routers}, tc.host)
		if moved != (tc.want != "") || moved && next[0].Params.Self.String() != tc.want {
			t.Errorf("%s: %t, %+v", name, moved, next)
		}
	}
}
