package doctor

import (
	"net/netip"
	"slices"
	"testing"
)

func TestFilters(t *testing.T) {
	peers := []Peer{{Address: netip.MustParseAddr("192.0.2.12")}}
	for _, tc := range []struct {
		name, rules string
		want        filtered
	}{
		{"nothing", "", filtered{}},
		{"a chain that is open", "chain input {\n type filter hook input priority 0; policy accept;\n}\n", filtered{}},
		{"a policy", "chain input {\n type filter hook input priority 0; policy drop;\n}\n", filtered{closed: true}},
		{"a last rule", "chain input {\n type filter hook input priority 0; policy accept;\n counter packets 1 bytes 2 drop\n}\n", filtered{closed: true}},
		{"a last rule of another chain", "chain output {\n type filter hook output priority 0; policy accept;\n drop\n}\n", filtered{}},
		{"VRRP let in by name", "chain input {\n type filter hook input priority 0; policy drop;\n ip protocol vrrp accept\n}\n", filtered{closed: true, vrrp: true}},
		{"VRRP in a set", "chain input {\n type filter hook input priority 0; policy drop;\n meta l4proto { icmp, vrrp } accept\n}\n", filtered{closed: true, vrrp: true}},
		{"VRRP by number", "chain input {\n type filter hook input priority 0; policy drop;\n meta l4proto 112 accept\n}\n", filtered{closed: true, vrrp: true}},
		{"VRRP dropped", "chain input {\n type filter hook input priority 0; policy accept;\n meta l4proto vrrp drop\n}\n", filtered{dropped: true}},
		{"gossip", "chain input {\n type filter hook input priority 0; policy drop;\n tcp dport { 7946, 7947 } accept\n}\n", filtered{closed: true, ports: true}},
		{"the peer", "chain input {\n type filter hook input priority 0; policy drop;\n ip saddr 192.0.2.12 accept\n}\n", filtered{closed: true, peersAll: true}},
		{"a port of the peer", "chain input {\n type filter hook input priority 0; policy drop;\n ip saddr 192.0.2.12 tcp dport 22 accept\n}\n", filtered{closed: true}},
		{"iptables", "*filter\n:INPUT DROP [0:0]\n-A INPUT -p vrrp -j ACCEPT\n", filtered{closed: true, vrrp: true}},
		{"iptables, a last rule", ":INPUT ACCEPT [0:0]\n-A INPUT -j REJECT --reject-with icmp-port-unreachable\n", filtered{closed: true}},
		{"iptables, VRRP dropped", ":INPUT ACCEPT [0:0]\n-A INPUT -p 112 -j DROP\n", filtered{dropped: true}},
	} {
		if got := filterOf(tc.rules, 7946, peers); got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

func TestFirewallIsOnlyAHint(t *testing.T) {
	f := healthy()
	f.Firewall.Rules = "chain input {\n type filter hook input priority 0; policy drop;\n}\n"
	var found []Severity
	for _, x := range Examine(f) {
		if x.Check == "firewall" {
			found = append(found, x.Severity)
		}
	}
	if !slices.Equal(found, []Severity{Warning, Warning}) {
		t.Errorf("%v", found)
	}
}

func FuzzFilter(f *testing.F) {
	f.Add("chain input {\n type filter hook input priority 0; policy drop;\n counter packets 1 bytes 2 drop\n}\n")
	f.Add(":INPUT DROP [0:0]\n-A INPUT -p vrrp -j ACCEPT\n")
	f.Fuzz(func(t *testing.T, rules string) {
		got := filterOf(rules, 7946, nil)
		if got != filterOf(rules, 7946, nil) || got.peersAll {
			t.Errorf("%+v", got)
		}
	})
}
