package otlp

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/proxy/trace"
)

// What it takes to make a batch ready to be sent, by request.
func BenchmarkBatch(b *testing.B) {
	tracer := trace.New()
	tracer.Configure(true, 1)
	buffer := tracer.NewBuffer(rand.NewPCG(1, 2))
	e := New(tracer, zap.NewNop(), nil)
	e.Configure("http://receiver", Resource{Instance: "lb1", Version: "1"})
	start := time.Unix(1, 0)
	peer := netip.MustParseAddrPort("192.0.2.1:1234")
	b.ReportAllocs()
	for b.Loop() {
		for range maxRecords {
			r := buffer.Begin(trace.Context{}, start)
			r.End, r.Listener, r.Pool, r.Server, r.Reason = start, "shop", "web", "a", "ok"
			r.Begin(trace.Span{Start: start, Server: "a", Address: peer, Number: 1})
			r.Finish(start, trace.Result{Status: 200, Reason: "ok"})
			r.Ask(trace.Request{Method: []byte("GET"), Host: []byte("shop.example"), Path: []byte("/cart"), Minor: 1, Client: peer.Addr(), Peer: peer})
			buffer.End(r)
		}
		if got := e.next(); got.spans != 2*maxRecords {
			b.Fatalf("%d spans", got.spans)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/maxRecords, "ns/request")
}
