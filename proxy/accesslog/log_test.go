package accesslog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// numbered returns an entry that can be told from others.
func numbered(n int) *Entry {
	return &Entry{Start: time.Unix(1, 0), Listener: "web", Reason: OK, Request: Request{Path: []byte(strconv.Itoa(n))}, Response: Response{Status: 200}}
}

// paths returns the paths of the lines in text, each of which must be whole.
func paths(t *testing.T, text string) []int {
	t.Helper()
	var all []int
	for line := range strings.Lines(text) {
		var e struct{ Path string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v in line %q", err, line)
		}
		n, err := strconv.Atoi(e.Path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}

// record is a writer whose text may be asked for at any time.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// start runs l until stop is called, which returns what Run does.
func start(l *Log) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	errC := make(chan error, 1)
	go func() { errC <- l.Run(ctx) }()
	return func() error {
		cancel()
		return <-errC
	}
}

func TestLineIsWrittenSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out record
		l := New(&out)
		l.Configure(true, 1)
		b := l.NewBuffer()
		stop := start(l)
		b.Append(numbered(1))
		time.Sleep(flushEvery)
		synctest.Wait()
		if got := paths(t, out.String()); len(got) != 1 {
			t.Errorf("%d lines after %s, want 1", len(got), flushEvery)
		}
		b.Append(numbered(2))
		if err := stop(); err != nil {
			t.Error(err)
		}
		if got := paths(t, out.String()); len(got) != 2 {
			t.Errorf("%d lines at the end, want 2", len(got))
		}
	})
}

func TestFullBatchIsWrittenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out record
		l := New(&out)
		l.Configure(true, 1)
		b := l.NewBuffer()
		stop := start(l)
		synctest.Wait()
		for n := 0; len(b.fullC) == 0; n++ {
			b.Append(numbered(n))
		}
		synctest.Wait() // no time passes
		if len(out.String()) < batchSize {
			t.Errorf("%d bytes are written, want %d", len(out.String()), batchSize)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// Several loops append while the log is written: each buffer's lines come in order,
// and each line comes whole, or is counted.
func TestOrderIsKeptAndNothingIsLostUncounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // whose time stands still while somebody works
		const buffers, each = 3, 20_000
		var out record
		l := New(&out)
		l.Configure(true, 1)
		stop := start(l)
		var loops sync.WaitGroup
		for i := range buffers {
			b := l.NewBuffer()
			loops.Go(func() {
				for n := range each {
					b.Append(numbered(i*each + n))
				}
			})
		}
		loops.Wait()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		last := map[int]int{}
		lines := paths(t, out.String())
		for _, n := range lines {
			if before, seen := last[n/each]; seen && n <= before {
				t.Fatalf("line %d of a buffer comes behind its line %d", n, before)
			}
			last[n/each] = n
		}
		if got := len(lines) + int(l.Dropped()); got != buffers*each {
			t.Errorf("%d lines written and %d dropped of %d", len(lines), l.Dropped(), buffers*each)
		}
	})
}

// stuck is a writer that takes nothing until it is freed.
type stuck struct {
	record
	freedC chan struct{}
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.freedC
	return s.record.Write(p)
}

func TestStuckWriterStopsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &stuck{freedC: make(chan struct{})}
		l := New(out)
		l.Configure(true, 1)
		b := l.NewBuffer()
		stop := start(l)
		total := 0
		for l.Dropped() == 0 {
			b.Append(numbered(total))
			total++
			if total%100 == 0 {
				synctest.Wait()
			}
			if total > 10*maxBatches*batchSize/100 {
				t.Fatal("nothing is dropped: the memory has no bound")
			}
		}
		for range 1000 {
			b.Append(numbered(total))
			total++
		}
		close(out.freedC)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		lines := paths(t, out.String())
		if got := len(lines) + int(l.Dropped()); got != total {
			t.Errorf("%d lines written and %d dropped of %d", len(lines), l.Dropped(), total)
		}
		for i, n := range lines {
			if i != n {
				t.Fatalf("line %d is at %d: what came first is not what was kept", n, i)
			}
		}
	})
}

// slow is a writer that takes a while for each write.
type slow struct{ record }

func (s *slow) Write(p []byte) (int, error) {
	time.Sleep(flushTimeout * 2 / 3)
	return s.record.Write(p)
}

func TestRunWaitsForASlowWriterToABound(t *testing.T) {
	for _, tt := range []struct {
		batches int
		whole   bool
	}{{3, true}, {100, false}} {
		synctest.Test(t, func(t *testing.T) {
			var out slow
			l := New(&out)
			l.Configure(true, 1)
			b := l.NewBuffer()
			for n := 0; b.made < tt.batches; n++ {
				b.Append(numbered(n))
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			began := time.Now()
			err := l.Run(ctx)
			if (err == nil) != tt.whole || time.Since(began) > flushTimeouts*flushTimeout {
				t.Errorf("%d batches: Run = %v after %s", tt.batches, err, time.Since(began))
			}
			time.Sleep(time.Hour) // in which the goroutine that was left behind ends
		})
	}
}

func TestRunEndsThoughTheWriterHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &stuck{freedC: make(chan struct{})}
		l := New(out)
		l.Configure(true, 1)
		b := l.NewBuffer()
		stop := start(l)
		b.Append(numbered(1))
		time.Sleep(flushEvery)
		if err := stop(); err == nil {
			t.Error("Run reports no error though nothing could be written")
		}
		close(out.freedC)
	})
}

// flaky takes the number of bytes that it is told for each write, then all.
type flaky struct {
	record
	takes []int
}

func (f *flaky) Write(p []byte) (int, error) {
	if len(f.takes) == 0 {
		return f.record.Write(p)
	}
	n := min(f.takes[0], len(p))
	f.takes = f.takes[1:]
	_, _ = f.record.Write(p[:n])
	return n, errors.New("no space left on device")
}

func TestFailedWritesAreCounted(t *testing.T) {
	line := len(encode(numbered(1)))
	tests := []struct {
		name    string
		takes   []int // of the first writes, of two lines each
		want    string
		dropped uint64
	}{
		{"none", nil, "1 2 3 4 5 6", 0},
		{"nothing written", []int{0}, "3 4 5 6", 2},
		{"one line written", []int{line}, "1 3 4 5 6", 1},
		{"all written, and an error", []int{2 * line}, "1 2 3 4 5 6", 0},
		{"a part of a line", []int{line + 5}, "1 torn 3 4 5 6", 1},
		{"a part, and then nothing for a while", []int{5, 0}, "torn 5 6", 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := &flaky{takes: tt.takes}
			l := New(out)
			l.Configure(true, 1)
			b := l.NewBuffer()
			for n := 1; n < 6; n += 2 {
				b.Append(numbered(n))
				b.Append(numbered(n + 1))
				l.flush(nil, true)
			}
			var got []string
			for text := range strings.Lines(out.String()) {
				var e struct{ Path string }
				if json.Unmarshal([]byte(text), &e) != nil {
					e.Path = "torn"
				}
				got = append(got, e.Path)
			}
			if joined := strings.Join(got, " "); joined != tt.want || l.Dropped() != tt.dropped {
				t.Errorf("lines %s, %d dropped; want %s, %d", joined, l.Dropped(), tt.want, tt.dropped)
			}
		})
	}
}

func TestSampling(t *testing.T) {
	failing := func(status int, reason Reason) *Entry {
		e := numbered(0)
		e.Response.Status, e.Reason = status, reason
		return e
	}
	tests := []struct {
		name   string
		access bool
		sample float64
		e      *Entry
		want   int // of 1000
	}{
		{"all", true, 1, numbered(0), 1000},
		{"a tenth", true, 0.1, numbered(0), 100},
		{"a third", true, 1.0 / 3, numbered(0), 333},
		{"hardly any", true, 0.000001, numbered(0), 0},
		{"none", false, 1, numbered(0), 0},
		{"a failure is in every share", true, 0.1, failing(503, NoServer), 1000},
		{"also one that the server answered", true, 0.1, failing(500, OK), 1000},
		{"also one that broke off", true, 0.1, failing(200, ServerReset), 1000},
		{"what the client does is not", true, 0.1, failing(499, ClientAbort), 100},
		{"no failure of none", false, 1, failing(503, NoServer), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out record
			l := New(&out)
			l.Configure(tt.access, tt.sample)
			b := l.NewBuffer()
			for range 1000 {
				b.Append(tt.e)
			}
			l.flush(nil, true)
			if got := strings.Count(out.String(), "\n"); got != tt.want || l.Dropped() != 0 {
				t.Errorf("%d lines, %d dropped; want %d", got, l.Dropped(), tt.want)
			}
		})
	}
}

func TestNothingIsLoggedBeforeConfigure(t *testing.T) {
	var out record
	l := New(&out)
	b := l.NewBuffer()
	b.Append(numbered(1))
	l.Configure(true, 1)
	b.Append(numbered(2))
	l.Configure(false, 0)
	b.Append(numbered(3))
	l.flush(nil, true)
	if got := paths(t, out.String()); len(got) != 1 || got[0] != 2 {
		t.Errorf("lines %v, want that of 2", got)
	}
}

func TestLineAllocatesNothing(t *testing.T) {
	l := New(io.Discard)
	l.Configure(true, 1)
	b, e := l.NewBuffer(), full()
	e.Request.Path = []byte("/ü\xff\"") // with all kinds of escapes
	var batches []*batch
	round := func() {
		for range 500 { // more than a batch
			b.Append(e)
		}
		batches = l.flush(batches, true)
	}
	round()
	if n := testing.AllocsPerRun(20, round); n != 0 {
		t.Errorf("%v allocations for 500 lines, want none", n)
	}
	if l.Dropped() != 0 {
		t.Errorf("%d lines dropped", l.Dropped())
	}
}

func BenchmarkAppend(b *testing.B) {
	l := New(io.Discard)
	l.Configure(true, 1)
	buffer, e := l.NewBuffer(), full()
	e.Request.CorrelationID = []byte("5fd28e1a45f6bfbf2d5f8d9fc6cf5b0d")
	e.Request.Path = []byte("/api/v1/products/4711?fields=name,price&sort=name")
	var batches []*batch
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		e.Start = e.Start.Add(time.Microsecond)
		buffer.Append(e)
		if n%200 == 0 { // what the writing goroutine does belongs to the price
			batches = l.flush(batches, false)
		}
	}
	if l.Dropped() != 0 {
		b.Errorf("%d lines dropped", l.Dropped())
	}
}

func BenchmarkEncode(b *testing.B) {
	e, dst := full(), make([]byte, 0, maxLine)
	var s stamp
	b.ReportAllocs()
	for b.Loop() {
		dst = e.append(dst[:0], &s)
	}
}
