package sticky

import (
	"net/netip"
	"testing"
)

func TestValuesNameServers(t *testing.T) {
	all := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:80"), netip.MustParseAddrPort("192.0.2.2:80"), netip.MustParseAddrPort("[2001:db8::1]:80")}
	a := New([]byte("key"), "web", all)
	for i := range all {
		if got, ok := a.Find([]byte(a.Value(i))); !ok || got != i || len(a.Value(i)) != 2*size {
			t.Errorf("Find(%q) = %d, %t; want %d", a.Value(i), got, ok, i)
		}
	}
	reordered := New([]byte("key"), "web", []netip.AddrPort{all[2], all[0]})
	if reordered.Value(0) != a.Value(2) || reordered.Value(1) != a.Value(0) {
		t.Error("the values depend on the order of the servers")
	}
	for name, other := range map[string]*Table{"key": New([]byte("other"), "web", all), "pool": New([]byte("key"), "api", all)} {
		if _, ok := other.Find([]byte(a.Value(0))); ok {
			t.Errorf("a value holds for another %s", name)
		}
	}
	for _, forged := range []string{"", "0", a.Value(0)[1:], a.Value(0) + "0"} {
		if _, ok := a.Find([]byte(forged)); ok {
			t.Errorf("Find(%q) found a server", forged)
		}
	}
	value := []byte(a.Value(1))
	if n := testing.AllocsPerRun(100, func() { a.Find(value) }); n != 0 {
		t.Errorf("Find allocates %v times", n)
	}
}

func TestAppendCookie(t *testing.T) {
	if got, want := string(AppendCookie(nil, "T", "v", false)), "T=v; Path=/; HttpOnly; SameSite=Lax"; got != want {
		t.Errorf("cookie = %q, want %q", got, want)
	}
	if got, want := string(AppendCookie([]byte("x"), "T", "v", true)), "xT=v; Path=/; HttpOnly; SameSite=Lax; Secure"; got != want {
		t.Errorf("cookie = %q, want %q", got, want)
	}
}
