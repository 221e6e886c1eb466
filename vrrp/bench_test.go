package vrrp_test

import (
	"testing"
	"time"

	"github.com/tandemlb/tandem/vrrp"
)

func BenchmarkAppend(b *testing.B) {
	a := advert(200)
	h := vrrp.Header{Source: self, Destination: group}
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Append(buf, h, vrrp.PseudoHeader); err != nil {
			b.Fatal(err)
		}
	}
}

// hearing is a Backup and what the Active router sends it.
type hearing struct {
	router *vrrp.Router
	packet vrrp.Packet
	now    time.Time
}

func newHearing(t testing.TB, p vrrp.Params, a vrrp.Advert) *hearing {
	t.Helper()
	r, err := vrrp.NewRouter(p)
	if err != nil {
		t.Fatal(err)
	}
	h := vrrp.Header{Source: upper, Destination: r.Destinations()[0]}
	if p.Self.Is6() {
		h.Source = upper6
	}
	payload, err := a.Append(nil, h, vrrp.PseudoHeader)
	if err != nil {
		t.Fatal(err)
	}
	r.Startup(epoch)
	return &hearing{r, vrrp.Packet{Header: h, TTL: 255, Payload: payload}, epoch}
}

// hear takes one advertisement from the bytes of a packet to the Backup's timer.
func (h *hearing) hear(t testing.TB) {
	h.now = h.now.Add(time.Millisecond)
	a, err := h.router.Accept(h.packet)
	if err != nil {
		t.Fatal(err)
	}
	h.router.Receive(h.now, h.packet.Source, a)
}

// drifted is an advertisement of other addresses.
func drifted(priority uint8) vrrp.Advert {
	a := advert(priority)
	a.Addresses = addrs("192.0.2.98", "192.0.2.99")
	return a
}

func BenchmarkReceive(b *testing.B) {
	for _, bb := range []struct {
		name   string
		params vrrp.Params
		advert vrrp.Advert
	}{
		{"IPv4", params(), advert(250)},
		{"IPv6", params6(), advert6(250)},
		{"IPv4 drifted", params(), drifted(250)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			h := newHearing(b, bb.params, bb.advert)
			b.ReportAllocs()
			for b.Loop() {
				h.hear(b)
			}
		})
	}
}

func BenchmarkAdvertise(b *testing.B) {
	r, err := vrrp.NewRouter(params())
	if err != nil {
		b.Fatal(err)
	}
	r.Startup(epoch)
	r.Tick(r.Next())
	b.ReportAllocs()
	for b.Loop() {
		if out := r.Tick(r.Next()); len(out.Send) != 1 {
			b.Fatal("nothing sent")
		}
	}
}

func BenchmarkSettle(b *testing.B) {
	var routers []*vrrp.Router
	for _, p := range []vrrp.Params{params(), params6()} {
		r, err := vrrp.NewRouter(p)
		if err != nil {
			b.Fatal(err)
		}
		r.Startup(epoch)
		routers = append(routers, r)
	}
	g := vrrp.NewGroup(routers...)
	b.ReportAllocs()
	for b.Loop() {
		g.Settle(epoch)
	}
}

// In rest, which is nearly always, nothing is allocated.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	backups := map[string]*hearing{
		"IPv4":    newHearing(t, params(), advert(250)),
		"IPv6":    newHearing(t, params6(), advert6(250)),
		"drifted": newHearing(t, params(), drifted(250)),
	}
	for name, h := range backups {
		h.hear(t)
		if n := testing.AllocsPerRun(100, func() { h.hear(t) }); n != 0 {
			t.Errorf("%s: %v allocations for an advertisement that is heard", name, n)
		}
	}
	r, now := active(t, params())
	buf := make([]byte, 0, 64)
	advertise := func() {
		now = now.Add(interval)
		for _, a := range r.Tick(now).Send {
			for _, to := range r.Destinations() {
				if _, err := a.Append(buf, vrrp.Header{Source: self, Destination: to}, r.ChecksumFor(to)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if n := testing.AllocsPerRun(100, advertise); n != 0 {
		t.Errorf("%v allocations for an advertisement that is sent", n)
	}
	four, six, g := pair4and6(t)
	if n := testing.AllocsPerRun(100, func() { g.Settle(epoch) }); n != 0 {
		t.Errorf("%v allocations to settle the group of %v and %v", n, four.Role(), six.Role())
	}
}
