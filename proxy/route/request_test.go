package route_test

import (
	"net/netip"
	"testing"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/route"
)

func TestKeys(t *testing.T) {
	r := get("h//a/../%62?q=%31+2&q=3", "x-key", "v", "x-key", "w", "cookie", `x; s="t"; s=u`)
	tests := []struct {
		key    proxy.Key
		client string
		want   string
		ok     bool
	}{
		{proxy.Key{Kind: proxy.KeyClient}, "1.2.3.4", "\x01\x02\x03\x04", true},
		{proxy.Key{Kind: proxy.KeyClient}, "::ffff:1.2.3.4", "\x01\x02\x03\x04", true},
		{proxy.Key{Kind: proxy.KeyClient}, "1::2", "\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02", true},
		{proxy.Key{Kind: proxy.KeyHeader, Name: "x-key"}, "", "v", true},
		{proxy.Key{Kind: proxy.KeyHeader, Name: "x-none"}, "", "", false},
		{proxy.Key{Kind: proxy.KeyCookie, Name: "s"}, "", "t", true},
		{proxy.Key{Kind: proxy.KeyCookie, Name: "x"}, "", "", false},
		{proxy.Key{Kind: proxy.KeyQuery, Name: "q"}, "", "1 2", true},
		{proxy.Key{Kind: proxy.KeyQuery, Name: "r"}, "", "", false},
		{proxy.Key{Kind: proxy.KeyPath}, "", "/b", true},
		{proxy.Key{Kind: proxy.KeyListener}, "", "", true},
		{proxy.Key{}, "", "", true},
	}
	for _, tt := range tests {
		var from netip.Addr
		if tt.client != "" {
			from = netip.MustParseAddr(tt.client)
		}
		got, ok := route.AppendKey([]byte("k"), tt.key, r, from)
		if string(got) != "k"+tt.want || ok != tt.ok {
			t.Errorf("key %+v of client %s is %q, %v; want %q, %v", tt.key, tt.client, got, ok, "k"+tt.want, tt.ok)
		}
	}
	if got, ok := route.AppendKey(nil, proxy.Key{Kind: proxy.KeyClient}, r, netip.Addr{}); ok || len(got) > 0 {
		t.Errorf("the key of a client without an address is %q, %v", got, ok)
	}
}
