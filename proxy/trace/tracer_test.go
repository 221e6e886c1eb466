package trace

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

func newBuffer(share float64) (*Tracer, *Buffer) {
	t := New()
	t.Configure(true, share)
	return t, t.NewBuffer(rand.NewPCG(1, 2))
}

var start = time.Unix(1e9, 0)

func TestShare(t *testing.T) {
	const n = 100_000
	for _, share := range []float64{0, 0.01, 0.5, 1} {
		_, b := newBuffer(share)
		got := 0
		for range n {
			if r := b.Begin(Context{}, start); r != nil {
				got++
				if !r.Valid() || r.Flags != Sampled|Random || r.Parent != (SpanID{}) {
					t.Fatalf("record %+v", r)
				}
				b.free(r)
			}
		}
		if want := share * n; math.Abs(float64(got)-want) > 5*math.Sqrt(want)*(1-share) {
			t.Errorf("%d of %d are recorded, want about %v", got, n, want)
		}
	}
}

// Services that record the same share choose the same traces, and who records more
// records all of those that another one does.
func TestChoiceIsOfTheID(t *testing.T) {
	_, b := newBuffer(0.1)
	for range 1000 {
		var r *Record
		for r == nil {
			r = b.Begin(Context{}, start)
		}
		low := binary.BigEndian.Uint64(r.Trace[8:])
		if !chosen(low, bound(0.1)) || !chosen(low, bound(0.2)) {
			t.Fatalf("%x is recorded, but not chosen", r.Trace)
		}
		b.free(r)
	}
}

func TestParentDecides(t *testing.T) {
	parent := Context{Trace: ID{1}, Span: SpanID{2}}
	for _, share := range []float64{0, 1} {
		_, b := newBuffer(share)
		if r := b.Begin(parent, start); r != nil {
			t.Errorf("share %v: what is not recorded above is recorded", share)
		}
		for _, flags := range []Flags{Sampled, Sampled | Random} {
			above := parent
			above.Flags = flags
			r := b.Begin(above, start)
			if r == nil {
				t.Fatalf("share %v: what is recorded above is not recorded", share)
			}
			if r.Trace != parent.Trace || r.Parent != parent.Span || r.Span == parent.Span || r.Span == (SpanID{}) || r.Flags != flags {
				t.Errorf("record %+v", r)
			}
		}
	}
}

func TestOff(t *testing.T) {
	tracer, b := newBuffer(1)
	if !b.On() {
		t.Error("it is off")
	}
	tracer.Configure(false, 1)
	if b.On() {
		t.Error("it is on")
	}
	if New().NewBuffer(rand.NewPCG(1, 2)).On() {
		t.Error("it is on before it is configured")
	}
	if r := b.Begin(Context{}, start); r != nil {
		t.Error("a trace begins though none are to")
	}
}

// A record that is used again has nothing of the request before.
func TestRecordIsEmptyAgain(t *testing.T) {
	tracer, b := newBuffer(1)
	r := b.Begin(Context{}, start)
	r.Ask(Request{Method: []byte("GET"), Host: []byte("a"), Path: []byte("/secret"), Secure: true, Client: netip.MustParseAddr("192.0.2.1")})
	r.Listener, r.Route, r.Pool, r.Retries = "shop", 1, "web", 2
	r.Begin(Span{Start: start, Server: "s", Number: 1})
	for range maxSpans {
		r.Add(Span{Kind: Connect, Start: start, End: start})
	}
	r.Result = Result{Status: 200, Reason: "ok"}
	if len(r.Spans) != maxSpans || r.Lost != 1 {
		t.Errorf("%d spans, %d lost", len(r.Spans), r.Lost)
	}
	b.End(r)
	tracer.Release(tracer.Collect(nil, 1))
	again := b.Begin(Context{}, start)
	if again != r {
		t.Fatal("the record is not used again")
	}
	text := fmt.Sprintf("%+v", *again)
	fresh := fmt.Sprintf("%+v", Record{Context: again.Context, Start: start, from: b})
	if text != fresh {
		t.Errorf("record %s\nwant %s", text, fresh)
	}
}

func TestLongTextsAreCut(t *testing.T) {
	_, b := newBuffer(1)
	r := b.Begin(Context{}, start)
	long := []byte(strings.Repeat("x", 5000))
	r.Ask(Request{Method: long, Host: long, Path: long})
	long[0] = 'y' // the record has its own
	q := r.Request
	if len(q.Method) != maxMethod || len(q.Host) != maxHost || len(q.Path) != maxPath || bytes.Contains(q.Path, []byte("y")) {
		t.Errorf("%d, %d and %d bytes", len(q.Method), len(q.Host), len(q.Path))
	}
}

// Nobody collects: what is one too many is dropped, and counted by its spans; what
// came first is kept.
func TestNobodyCollects(t *testing.T) {
	tracer, b := newBuffer(1)
	end := func(route int) {
		r := b.Begin(Context{}, start)
		r.Route = route
		r.Begin(Span{Start: start, Number: 1})
		r.Finish(start, Result{})
		b.End(r)
	}
	for n := range maxWaiting + 10 {
		end(n)
	}
	if got := tracer.Dropped(); got != 20 {
		t.Errorf("%d spans are dropped, want 20", got)
	}
	select {
	case <-tracer.Wake():
	default:
		t.Error("the collector is not woken")
	}
	records := tracer.Collect(nil, 2*maxWaiting)
	if len(records) != maxWaiting {
		t.Errorf("%d records are kept, want %d", len(records), maxWaiting)
	}
	for n, r := range records {
		if r.Route != n {
			t.Fatalf("record %d is that of request %d", n, r.Route)
		}
	}
	tracer.Release(records)
	end(0)
	if got := tracer.Collect(nil, 10); len(got) != 1 || tracer.Dropped() != 20 {
		t.Errorf("%d records and %d dropped after all is collected", len(got), tracer.Dropped())
	}
}

// One loop that records much leaves the others their turn.
func TestCollectIsFair(t *testing.T) {
	tracer, busy := newBuffer(1)
	quiet := tracer.NewBuffer(rand.NewPCG(3, 4))
	for range 100 {
		busy.End(busy.Begin(Context{}, start))
	}
	quiet.End(quiet.Begin(Context{}, start))
	first := tracer.Collect(nil, 100)
	for range 100 {
		busy.End(busy.Begin(Context{}, start))
	}
	second := tracer.Collect(nil, 100)
	if len(first) != 100 || len(second) != 100 {
		t.Fatalf("%d and %d records, want 100 each", len(first), len(second))
	}
	for _, r := range append(first, second...) {
		if r.from == quiet {
			return
		}
	}
	t.Error("the record of the quiet loop waits while the busy one is served twice")
}

func TestLoopsAndACollector(t *testing.T) {
	const loops, each = 3, 5000
	tracer := New()
	tracer.Configure(true, 1)
	var wg sync.WaitGroup
	for i := range loops {
		b := tracer.NewBuffer(rand.NewPCG(uint64(i), 2))
		wg.Go(func() {
			for n := range each {
				r := b.Begin(Context{}, start)
				r.Route = n + 1
				b.End(r)
			}
		})
	}
	doneC := make(chan struct{})
	go func() {
		defer close(doneC)
		wg.Wait()
	}()
	got := 0
	last := map[*Buffer]int{}
	collect := func() {
		records := tracer.Collect(nil, 64)
		for _, r := range records {
			if r.Route <= last[r.from] {
				t.Errorf("request %d comes behind %d", r.Route, last[r.from])
			}
			last[r.from] = r.Route
		}
		got += len(records)
		tracer.Release(records)
	}
	for ended := false; !ended; {
		select {
		case <-doneC:
			ended = true
		case <-tracer.Wake():
			collect()
		}
	}
	for before := -1; before != got; {
		before = got
		collect()
	}
	if got+int(tracer.Dropped()) != loops*each {
		t.Errorf("%d collected and %d dropped of %d", got, tracer.Dropped(), loops*each)
	}
}

func TestRecordingAllocatesNothing(t *testing.T) {
	tracer, b := newBuffer(1)
	q := Request{Method: []byte("GET"), Host: []byte("shop.example"), Path: []byte("/cart")}
	var records []*Record
	request := func() {
		r := b.Begin(Context{}, start)
		r.Begin(Span{Start: start, Server: "s", Number: 1})
		r.Add(Span{Kind: Connect, Start: start, End: start})
		r.Finish(start, Result{Status: 200})
		r.Ask(q)
		b.End(r)
		records = tracer.Collect(records[:0], 10)
		tracer.Release(records)
	}
	request()
	if n := testing.AllocsPerRun(100, request); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
