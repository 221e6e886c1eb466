package config_test

import (
	"net/netip"
	"testing"
)

func TestLocal(t *testing.T) {
	const pair = "nodes: {lb1: 192.0.2.11, lb2: 192.0.2.12}"
	tests := []struct {
		name    string
		src     string
		flag    string
		addrs   []string
		want    string
		wantErr string
	}{
		{"by address", pair, "", []string{"127.0.0.1", "198.51.100.1", "192.0.2.12"}, "lb2", ""},
		{"by an address in IPv6 form", pair, "", []string{"::ffff:192.0.2.11"}, "lb1", ""},
		{"by name", pair, "lb1", []string{"198.51.100.1"}, "lb1", ""},
		{"by name against the address", pair, "lb1", []string{"192.0.2.12"}, "lb1", ""},
		{"no nodes", "log: {level: info}", "", []string{"192.0.2.11"}, "", ""},
		{"no nodes but a name", "log: {level: info}", "lb1", nil, "", ""},
		{"no address matches", pair, "", []string{"127.0.0.1", "::1", "fe80::1", "198.51.100.1", "2001:db8::1"}, "",
			`find the node that this host is: it has 198.51.100.1 and 2001:db8::1, but the config names lb1 (192.0.2.11) and lb2 (192.0.2.12); correct an address there, or say which one it is with --node`},
		{"no address at all", pair, "", []string{"127.0.0.1"}, "",
			`find the node that this host is: it has no address of its own, but the config names lb1 (192.0.2.11) and lb2 (192.0.2.12); correct an address there, or say which one it is with --node`},
		{"the addresses of both", pair, "", []string{"192.0.2.12", "192.0.2.11"}, "",
			`find the node that this host is: it has the addresses of lb1 (192.0.2.11) and lb2 (192.0.2.12); say which one it is with --node`},
		{"a name that is near", "nodes: {left: 192.0.2.11, right: 192.0.2.12}", "rihgt", nil, "",
			`find the node that this host is: --node names "rihgt", did you mean "right"?; the config names left (192.0.2.11) and right (192.0.2.12)`},
		{"a name that is not", pair, "web", []string{"192.0.2.11"}, "",
			`find the node that this host is: --node names "web"; the config names lb1 (192.0.2.11) and lb2 (192.0.2.12)`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var addrs []netip.Addr
			for _, a := range tt.addrs {
				addrs = append(addrs, netip.MustParseAddr(a))
			}
			got, err := parse(t, tt.src).Local(tt.flag, addrs)
			var gotErr string
			if err != nil {
				gotErr = err.Error()
			}
			if got.Name != tt.want || gotErr != tt.wantErr {
				t.Errorf("Local = %q, error\n%s\nwant %q, error\n%s", got.Name, gotErr, tt.want, tt.wantErr)
			}
		})
	}
}
