package vrrp_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tandemlb/tandem/vrrp"
)

// The figures most tests share: this router at 192.0.2.11 with priority 200 and
// 100 ms between advertisements, a peer with a lower address and one with a
// higher.
const (
	interval = 100 * time.Millisecond
	skew200  = (256 - 200) * interval / 256
	down200  = 3*interval + skew200
	grace    = 20 * time.Millisecond
)

var (
	self  = netip.MustParseAddr("192.0.2.11")
	lower = netip.MustParseAddr("192.0.2.10")
	upper = netip.MustParseAddr("192.0.2.12")
	group = netip.MustParseAddr("224.0.0.18")
	vip   = netip.MustParseAddr("192.0.2.100")

	epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

	byValue = cmpopts.EquateComparable(netip.Addr{})
)

func at(d time.Duration) time.Time { return epoch.Add(d) }

func params() vrrp.Params {
	return vrrp.Params{
		VRID: 51, Priority: 200, Preempt: true, Interval: interval,
		Addresses: []netip.Addr{vip}, Self: self,
	}
}

// params6 and params2 are params for IPv6 and for version 2.
func params6() vrrp.Params {
	p := params()
	p.Self, p.Addresses = netip.MustParseAddr("fe80::11%eth0"), addrs("fe80::1:51", "2001:db8::100")
	return p
}

func params2() vrrp.Params {
	p := params()
	p.Version, p.Interval = 2, time.Second
	return p
}

func newRouter(t *testing.T, p vrrp.Params) *vrrp.Router {
	t.Helper()
	r, err := vrrp.NewRouter(p)
	if err != nil {
		t.Fatalf("make router: %v", err)
	}
	return r
}

// backup returns a router of params p that was started at the epoch.
func backup(t *testing.T, p vrrp.Params) *vrrp.Router {
	t.Helper()
	r := newRouter(t, p)
	r.Startup(epoch)
	wantRole(t, r, vrrp.Backup)
	return r
}

// active returns a router of params p that became Active in silence, at the
// returned time.
func active(t *testing.T, p vrrp.Params) (*vrrp.Router, time.Time) {
	t.Helper()
	r := backup(t, p)
	now := r.Next()
	r.Tick(now)
	wantRole(t, r, vrrp.Active)
	return r, now
}

// advert is an advertisement as the router of params sends it, with another
// priority.
func advert(priority uint8) vrrp.Advert {
	return vrrp.Advert{
		Version: 3, VRID: 51, Priority: priority, Interval: interval,
		Addresses: []netip.Addr{vip},
	}
}

func advert6(priority uint8) vrrp.Advert {
	a := advert(priority)
	a.Addresses = params6().Addresses
	return a
}

func advert2(priority uint8) vrrp.Advert {
	a := advert(priority)
	a.Version, a.Interval = 2, time.Second
	return a
}

func adverts(priorities ...uint8) []vrrp.Advert {
	var as []vrrp.Advert
	for _, p := range priorities {
		as = append(as, advert(p))
	}
	return as
}

func wantSent(t *testing.T, out vrrp.Output, priorities ...uint8) {
	t.Helper()
	if diff := cmp.Diff(adverts(priorities...), out.Send, byValue); diff != "" {
		t.Errorf("sent advertisements (-want +got):\n%s", diff)
	}
}

func wantNothing(t *testing.T, out vrrp.Output) {
	t.Helper()
	if diff := cmp.Diff(vrrp.Output{}, out, byValue); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func wantRole(t *testing.T, r *vrrp.Router, want vrrp.Role) {
	t.Helper()
	if got := r.Status().Role; got != want {
		t.Fatalf("role is %v, want %v", got, want)
	}
}

func wantHolds(t *testing.T, r *vrrp.Router, want bool) {
	t.Helper()
	if got := r.Holds(); got != want {
		t.Errorf("holds the addresses: %v, want %v", got, want)
	}
}

func wantNext(t *testing.T, r *vrrp.Router, want time.Time) {
	t.Helper()
	if got := r.Next(); !got.Equal(want) {
		t.Errorf("next deadline is %v after the epoch, want %v", got.Sub(epoch), want.Sub(epoch))
	}
}

func wantReason(t *testing.T, out vrrp.Output, want vrrp.Reason) {
	t.Helper()
	if out.Change == nil {
		t.Fatalf("no change of role, want one because %q", want)
	}
	if out.Change.Reason != want {
		t.Errorf("reason is %q, want %q", out.Change.Reason, want)
	}
}
