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

// A packet lies within the bytes it was read from, and a router takes whatever
// it says without harm.
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
		r, err := vrrp.NewRouter(params())
		if err != nil {
			t.Fatalf("make router: %v", err)
		}
		before := r.Status()
		if _, err := r.Accept(p); err == nil {
			return
		}
		after := r.Status()
		after.Counters.Dropped = nil
		if diff := cmp.Diff(before, after, byValue); diff != "" {
			t.Fatalf("a dropped packet changed the state (-before +after):\n%s", diff)
		}
	})
}
