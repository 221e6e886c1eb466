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

// BenchmarkReceive takes an advertisement from the bytes of a packet to the
// Backup's timer.
func BenchmarkReceive(b *testing.B) {
	h := vrrp.Header{Source: upper, Destination: group}
	payload, err := advert(250).Append(nil, h, vrrp.PseudoHeader)
	if err != nil {
		b.Fatal(err)
	}
	r, err := vrrp.NewRouter(params())
	if err != nil {
		b.Fatal(err)
	}
	now := epoch
	r.Startup(now)
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Millisecond)
		a, err := r.Accept(vrrp.Packet{Header: h, TTL: 255, Payload: payload})
		if err != nil {
			b.Fatal(err)
		}
		r.Receive(now, h.Source, a)
	}
}
