package sticky

import (
	"net/netip"
	"testing"
)

// FuzzFind looks up what clients send as cookies: nothing but a value itself finds a server.
func FuzzFind(f *testing.F) {
	t := New([]byte("key"), "web", []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:80"), netip.MustParseAddrPort("192.0.2.2:80")})
	f.Add([]byte(t.Value(1)))
	f.Add([]byte(t.Value(0)[:10]))
	f.Add([]byte{})
	f.Fuzz(func(tt *testing.T, value []byte) {
		if i, ok := t.Find(value); ok && t.Value(i) != string(value) {
			tt.Errorf("%q finds server %d", value, i)
		}
	})
}
