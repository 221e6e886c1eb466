package vrrp_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/vrrp"
)

// What parses can be sent, and reads the same again.
func FuzzParseAdvert(f *testing.F) {
	for _, g := range golden {
		f.Add(unhex(f, g.bytes), g.header.Source.AsSlice(), g.header.Destination.AsSlice())
	}
	f.Fuzz(func(t *testing.T, b, source, destination []byte) {
		var h vrrp.Header
		h.Source, _ = netip.AddrFromSlice(source)
		h.Destination, _ = netip.AddrFromSlice(destination)
		a, form, err := vrrp.ParseAdvert(b, h)
		if err != nil {
			if vrrp.DropOf(err) == "" {
				t.Fatalf("error without a drop reason: %v", err)
			}
			return
		}
		sent, err := a.Append(nil, h, form)
		if err != nil {
			t.Fatalf("append what was parsed: %v", err)
		}
		again, formAgain, err := vrrp.ParseAdvert(sent, h)
		if err != nil {
			t.Fatalf("parse what was appended: %v", err)
		}
		if diff := cmp.Diff(a, again, byValue); diff != "" || form != formAgain {
			t.Fatalf("forms %v and %v, advertisement (-first +second):\n%s", form, formAgain, diff)
		}
	})
}

// A packet lies within the bytes it was read from.
func FuzzParseIPv4(f *testing.F) {
	f.Add(unhex(f, capturedHeader+capturedBody))
	f.Add(unhex(f, "46 c0 0024 0001 0000 ff 70 0000 c00002fb e0000012 94040000"+capturedBody))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := vrrp.ParseIPv4(b)
		if err != nil {
			if vrrp.DropOf(err) == "" {
				t.Fatalf("error without a drop reason: %v", err)
			}
			return
		}
		if len(p.Payload) > len(b)-20 {
			t.Fatalf("payload of %d bytes from %d", len(p.Payload), len(b))
		}
	})
}

// Whatever a packet says, a router takes it or drops it, and what it drops leaves
// nothing but a count.
func FuzzAccept(f *testing.F) {
	for _, g := range golden {
		f.Add(unhex(f, g.bytes), g.header.Source.AsSlice(), g.header.Destination.AsSlice(), uint8(255))
	}
	f.Fuzz(func(t *testing.T, b, source, destination []byte, ttl uint8) {
		p := vrrp.Packet{TTL: ttl, Payload: b}
		p.Source, _ = netip.AddrFromSlice(source)
		p.Destination, _ = netip.AddrFromSlice(destination)
		for _, params := range []vrrp.Params{params(), params2(), params6()} {
			r, err := vrrp.NewRouter(params)
			if err != nil {
				t.Fatalf("make router: %v", err)
			}
			r.Startup(epoch)
			before := r.Status()
			a, err := r.Accept(p)
			if err == nil {
				takeTwice(t, r, p, a)
				continue
			}
			before.LastDrop = vrrp.DropOf(err)
			before.Counters.Dropped = map[vrrp.Drop]uint64{before.LastDrop: 1}
			if diff := cmp.Diff(before, r.Status(), byValue); diff != "" || before.LastDrop == "" {
				t.Fatalf("a packet dropped with %v changed the state (-before +after):\n%s", err, diff)
			}
		}
	})
}

// takeTwice has r act on a packet that it has accepted as a, and accept it again.
func takeTwice(t *testing.T, r *vrrp.Router, p vrrp.Packet, a vrrp.Advert) {
	t.Helper()
	r.Receive(epoch, p.Source, a)
	r.Tick(r.Next())
	again, err := r.Accept(p)
	if err != nil {
		t.Fatalf("accepted once alone: %v", err)
	}
	if diff := cmp.Diff(a, again, byValue); diff != "" {
		t.Fatalf("advertisement (-first +second):\n%s", diff)
	}
	if got := len(r.Status().Peers); got != 1 {
		t.Fatalf("%d peers, want 1", got)
	}
}
