package page

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/proxy/stats"
)

// options are of a node that takes ten requests between two looks.
func options() Options {
	var requests uint64
	return Options{
		Look: func(context.Context) (*admin.Explanation, error) {
			return &admin.Explanation{Status: admin.Status{Node: "lb1", Fit: true}}, nil
		},
		Count: func(context.Context) (stats.Snapshot, bool) {
			requests += 10
			return counted(requests), true
		},
		Refused: func() {},
	}
}

func counted(requests uint64) stats.Snapshot {
	return stats.Snapshot{Pages: []stats.PageCounts{{Key: stats.Key{Listener: "web"}, Protocol: "http", Begun: requests}}}
}

// pipeWriter answers over a pipe that nobody may read.
type pipeWriter struct {
	http.ResponseWriter
	conn net.Conn
}

func (w *pipeWriter) Header() http.Header                { return http.Header{} }
func (w *pipeWriter) WriteHeader(int)                    {}
func (w *pipeWriter) Write(b []byte) (int, error)        { return w.conn.Write(b) }
func (w *pipeWriter) Flush()                             {}
func (w *pipeWriter) SetWriteDeadline(t time.Time) error { return w.conn.SetWriteDeadline(t) }

func TestFeedTellsOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFeed(options())
		ctx, cancel := context.WithCancel(t.Context())
		var parts sync.WaitGroup
		parts.Go(func() { f.Run(ctx) })
		time.Sleep(10*time.Second + every/2)

		client, server := net.Pipe()
		parts.Go(func() {
			f.ServeHTTP(&pipeWriter{conn: server}, httptest.NewRequestWithContext(ctx, "GET", "/v1/feed", nil))
			server.Close()
		})
		events := bufio.NewScanner(client)
		events.Buffer(nil, 1<<20)
		next := func(name string, into any) {
			t.Helper()
			for events.Scan() {
				if events.Text() == "" {
					continue
				}
				if got := events.Text(); got != "event: "+name {
					t.Fatalf("got %q, want event %s", got, name)
				}
				events.Scan()
				data, is := strings.CutPrefix(events.Text(), "data: ")
				if !is {
					t.Fatalf("got %q, want data", events.Text())
				}
				if err := json.Unmarshal([]byte(data), into); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Fatalf("no event %s: %v", name, events.Err())
		}
		var history []Sample
		next("history", &history)
		if len(history) != 10 || history[9].Requests != 10 {
			t.Errorf("history of %d, at last %+v", len(history), history[len(history)-1])
		}
		var first, second Snapshot
		next("snapshot", &first)
		begin := time.Now()
		next("snapshot", &second)
		if passed := time.Since(begin); passed > every || second.At.Sub(first.At) != every {
			t.Errorf("the second came %v after the first, of a time %v later", passed, second.At.Sub(first.At))
		}
		if second.Status.Node != "lb1" || second.Sample == nil || second.Sample.Requests != 10 || second.Verdict.Headline != "All is well" {
			t.Errorf("snapshot %+v", second)
		}
		cancel()
		_, _ = io.Copy(io.Discard, client)
		parts.Wait()
		if n := f.Watchers(); n != 0 {
			t.Errorf("%d watchers are left", n)
		}
	})
}

func TestASlowClientIsDroppedAndKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFeed(options())
		ctx, cancel := context.WithCancel(t.Context())
		var parts sync.WaitGroup
		parts.Go(func() { f.Run(ctx) })
		time.Sleep(every / 2)

		_, server := net.Pipe() // nobody reads
		ended := make(chan time.Time, 1)
		begin := time.Now()
		parts.Go(func() {
			f.ServeHTTP(&pipeWriter{conn: server}, httptest.NewRequestWithContext(ctx, "GET", "/v1/feed", nil))
			ended <- time.Now()
		})
		quick, other := net.Pipe()
		parts.Go(func() {
			f.ServeHTTP(&pipeWriter{conn: other}, httptest.NewRequestWithContext(ctx, "GET", "/v1/feed", nil))
			other.Close()
		})
		told := 0
		parts.Go(func() {
			lines := bufio.NewScanner(quick)
			lines.Buffer(nil, 1<<20)
			for lines.Scan() {
				if lines.Text() == "event: snapshot" {
					told++
				}
			}
		})
		at := <-ended
		if passed := at.Sub(begin); passed > writeTimeout+every {
			t.Errorf("the slow client was there for %v", passed)
		}
		time.Sleep(5 * every)
		if n := f.Watchers(); n != 1 {
			t.Errorf("%d watchers, want the quick one", n)
		}
		cancel()
		parts.Wait()
		if want := int((writeTimeout + 5*every) / every); told < want {
			t.Errorf("the quick client was told %d times, want at least %d", told, want)
		}
	})
}

func TestWatchersAreBounded(t *testing.T) {
	refused := 0
	o := options()
	o.Refused = func() { refused++ }
	f := NewFeed(o)
	for range maxWatchers {
		if w, _ := f.join(); w == nil {
			t.Fatal("refused within the bound")
		}
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, httptest.NewRequest("GET", "/v1/feed", nil))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || refused != 1 {
		t.Errorf("status %d, %v, counted %d", w.Code, w.Header(), refused)
	}
}

func TestANodeThatCannotBeAskedTellsNothing(t *testing.T) {
	o := options()
	o.Look = func(context.Context) (*admin.Explanation, error) { return nil, errors.New("no") }
	f := NewFeed(o)
	f.look(t.Context(), time.Unix(1, 0))
	if _, first := f.join(); len(first) != 1 {
		t.Errorf("told %d events, want the history alone", len(first))
	}
}

func TestAWorkerThatDoesNotSayLeavesAGap(t *testing.T) {
	o := options()
	count, fresh := o.Count, true
	o.Count = func(ctx context.Context) (stats.Snapshot, bool) {
		s, _ := count(ctx)
		return s, fresh
	}
	f := NewFeed(o)
	at := time.Unix(1000, 0)
	for i := range 6 {
		fresh = i < 2 || i > 3
		f.look(t.Context(), at.Add(time.Duration(i)*every))
	}
	var seconds []int64
	for _, s := range f.meter.samples {
		seconds = append(seconds, s.At.Unix()-1000)
		if s.Requests != 10 {
			t.Errorf("%v requests a second, want 10", s.Requests)
		}
	}
	if !slices.Equal(seconds, []int64{1, 4, 5}) {
		t.Errorf("samples of the seconds %v", seconds)
	}
}

func TestMeter(t *testing.T) {
	at := func(second int) time.Time { return time.Unix(1000+int64(second), 0) }
	var times stats.Histogram
	snapshot := func(http, failed, tcp, unserved uint64) stats.Snapshot {
		one := stats.PageCounts{Key: stats.Key{Listener: "web", Pool: "web"}, Protocol: "http", Begun: http, Total: times.Distribution()}
		one.Classes[stats.Class5xx] = failed
		one.Classes[stats.Class4xx] = 1000
		// What a connection of TCP lasts is no response time.
		var hours stats.Histogram
		hours.Observe(time.Hour)
		return stats.Snapshot{Pages: []stats.PageCounts{one, {
			Key: stats.Key{Listener: "db", Pool: "db"}, Protocol: "tcp", Begun: tcp, Ends: map[string]uint64{"unserved": unserved, "closed": tcp}, Total: hours.Distribution(),
		}}}
	}
	var m meter
	if _, made := m.take(at(0), snapshot(100, 5, 50, 1)); made || len(m.samples) != 0 {
		t.Error("the first look makes a sample")
	}
	if s, made := m.take(at(1), snapshot(110, 6, 55, 2)); !made || s.Requests != 15 || s.Errors != 2 || s.P50 != nil || s.P99 != nil {
		t.Errorf("got %+v, want 15 requests and two errors a second, and no times", s)
	}
	for i := range 100 {
		d := 2 * time.Millisecond
		if i > 95 {
			d = 500 * time.Millisecond
		}
		times.Observe(d)
	}
	s, _ := m.take(at(2), snapshot(210, 6, 55, 2))
	if s.P50 == nil || *s.P50 < 0.0018 || *s.P50 > 0.0022 || *s.P99 < 0.45 || *s.P99 > 0.55 {
		t.Errorf("got %+v, want 2 ms and half a second", s)
	}
	if s.Requests != 57.5 || s.Errors != 1 {
		t.Errorf("got %+v, want 57.5 requests and an error a second over two seconds", s)
	}
	// A new worker counts from zero.
	times = stats.Histogram{}
	if s, _ := m.take(at(3), snapshot(3, 0, 0, 0)); s.Requests < 0 || s.Requests > 60 {
		t.Errorf("after a new start %+v", s)
	}
	for i := range 2 * int(span/every) {
		m.take(at(4+i), snapshot(3, 0, 0, 0))
	}
	if len(m.samples) != int(span/every) || len(m.before) != window {
		t.Errorf("%d samples and %d readings are kept", len(m.samples), len(m.before))
	}
	for i, s := range m.samples {
		if i > 0 && !s.At.After(m.samples[i-1].At) {
			t.Errorf("sample %d is not later than the one before", i)
		}
	}
}
