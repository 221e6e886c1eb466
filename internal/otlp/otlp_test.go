package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/protobuf/proto"

	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"

	"github.com/tandemlb/tandem/proxy/trace"
)

// call is what a receiver is sent, and answers.
type call struct {
	at    time.Duration // since the test began
	url   string
	spans int
}

// fake is an exporter whose receiver answers as it is told.
type fake struct {
	*Exporter
	t      *testing.T
	buffer *trace.Buffer
	began  time.Time
	answer func(n int, r *http.Request) (*http.Response, error) // the n-th call, from 1
	calls  []call
	logs   *observer.ObservedLogs
	stop   func()
}

func start(t *testing.T, answer func(n int, r *http.Request) (*http.Response, error)) *fake {
	t.Helper()
	tracer := trace.New()
	tracer.Configure(true, 1)
	core, logs := observer.New(zap.InfoLevel)
	f := &fake{
		Exporter: New(tracer, zap.New(core), nil), t: t, buffer: tracer.NewBuffer(rand.NewPCG(1, 2)), began: time.Now(),
		answer: answer, logs: logs,
	}
	f.client = &http.Client{Transport: f}
	f.Configure("http://receiver", Resource{Instance: "lb1", Version: "1"})
	ctx, cancel := context.WithCancel(t.Context())
	doneC := make(chan error)
	go func() { doneC <- f.Run(ctx) }()
	f.stop = func() {
		cancel()
		if err := <-doneC; err != nil {
			t.Errorf("Run = %v", err)
		}
	}
	return f
}

// RoundTrip implements http.RoundTripper.
func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	m, err := decode(r.Body)
	if err != nil {
		f.t.Error(err)
		return nil, err
	}
	f.calls = append(f.calls, call{time.Since(f.began), r.URL.String(), len(m.ResourceSpans[0].ScopeSpans[0].Spans)})
	return f.answer(len(f.calls), r)
}

func decode(body io.Reader) (*collectorpb.ExportTraceServiceRequest, error) {
	z, err := gzip.NewReader(body)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	m := &collectorpb.ExportTraceServiceRequest{}
	return m, proto.Unmarshal(text, m)
}

// record records requests, each of which is one span.
func (f *fake) record(requests int) {
	for range requests {
		r := f.buffer.Begin(trace.Context{}, time.Now())
		r.End = time.Now()
		f.buffer.End(r)
	}
}

func answers(status int, header ...string) (*http.Response, error) {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), Header: h, Body: http.NoBody}, nil
}

// check compares the counters.
func (f *fake) check(sent, dropped int) {
	f.t.Helper()
	if s := f.Stats(); s.Sent != uint64(sent) || s.Dropped != uint64(dropped) {
		f.t.Errorf("%d sent and %d dropped, want %d and %d", s.Sent, s.Dropped, sent, dropped)
	}
}

func TestSpansAreSentSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, func(int, *http.Request) (*http.Response, error) { return answers(200) })
		f.record(3)
		time.Sleep(every)
		synctest.Wait()
		if len(f.calls) != 1 || f.calls[0].spans != 3 || f.calls[0].url != "http://receiver/v1/traces" {
			t.Errorf("calls %+v", f.calls)
		}
		f.record(maxRecords + 1) // more than a batch, and enough not to wait
		synctest.Wait()
		f.stop()
		total := 0
		for _, c := range f.calls {
			total += c.spans
			if c.spans > maxRecords {
				t.Errorf("%d records at once", c.spans)
			}
		}
		if last := f.calls[len(f.calls)-1]; total != maxRecords+4 || last.at > every {
			t.Errorf("%d spans came, the last after %s", total, last.at)
		}
		f.check(maxRecords+4, 0)
	})
}

func TestRepeating(t *testing.T) {
	date := func(in time.Duration) string { return time.Now().Add(in).UTC().Format(http.TimeFormat) }
	tests := []struct {
		name    string
		answer  func(n int) (*http.Response, error)
		calls   int
		most    time.Duration // between the first call and the last
		least   time.Duration
		sent    bool
		message string // of the newest failure; "" for none
	}{
		{"taken", func(int) (*http.Response, error) { return answers(202) }, 1, 0, 0, true, ""},
		{"busy once", func(n int) (*http.Response, error) {
			if n == 1 {
				return answers(503)
			}
			return answers(200)
		}, 2, 3 * firstWait / 2, firstWait / 2, true, ""},
		{"busy, and says until when", func(n int) (*http.Response, error) {
			if n == 1 {
				return answers(429, "Retry-After", "17")
			}
			return answers(200)
		}, 2, 17 * time.Second, 17 * time.Second, true, ""},
		{"busy until a date", func(n int) (*http.Response, error) {
			if n == 1 {
				return answers(503, "Retry-After", date(42*time.Second))
			}
			return answers(200)
		}, 2, 42 * time.Second, 41 * time.Second, true, ""},
		{"busy for a day", func(n int) (*http.Response, error) {
			if n == 1 {
				return answers(503, "Retry-After", "86400")
			}
			return answers(200)
		}, 2, maxAfter, maxAfter, true, ""},
		{"busy for ever", func(int) (*http.Response, error) { return answers(504) }, tries, 23 * firstWait, 7 * firstWait, false, "504 Gateway Timeout"},
		{"cannot be reached", func(int) (*http.Response, error) { return nil, errors.New("no route to host") }, tries, 23 * firstWait, 7 * firstWait, false, "no route to host"},
		{"refused", func(int) (*http.Response, error) { return answers(400) }, 1, 0, 0, false, "400 Bad Request"},
		{"broken", func(int) (*http.Response, error) { return answers(500) }, 1, 0, 0, false, "500 Internal Server Error"},
		{"elsewhere", func(int) (*http.Response, error) { return answers(307, "Location", "http://other/v1/traces") }, 1, 0, 0, false, "307 Temporary Redirect"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := start(t, func(n int, _ *http.Request) (*http.Response, error) { return tt.answer(n) })
				f.client.CheckRedirect = newClient(nil).CheckRedirect
				f.record(2)
				time.Sleep(time.Hour)
				synctest.Wait()
				if len(f.calls) != tt.calls {
					t.Fatalf("%d calls, want %d", len(f.calls), tt.calls)
				}
				if took := f.calls[len(f.calls)-1].at - f.calls[0].at; took > tt.most || took < tt.least {
					t.Errorf("the last call is %s behind the first, want %s to %s", took, tt.least, tt.most)
				}
				if tt.sent {
					f.check(2, 0)
				} else {
					f.check(0, 2)
				}
				if got := f.Stats().Error; !strings.Contains(got, tt.message) || tt.message == "" && got != "" {
					t.Errorf("error %q, want %q", got, tt.message)
				}
				// One line when it fails, one when it is well again.
				if n := f.logs.Len(); n > 2 || tt.message != "" && n != 1 {
					t.Errorf("%d lines in the log: %v", n, f.logs.All())
				}
				f.stop()
			})
		})
	}
}

func TestRejectedSpansAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := &collectorpb.ExportTraceServiceResponse{PartialSuccess: &collectorpb.ExportTracePartialSuccess{RejectedSpans: 3, ErrorMessage: "too old"}}
		f := start(t, func(int, *http.Request) (*http.Response, error) {
			text, err := proto.Marshal(answer)
			return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(text))}, err
		})
		f.record(5)
		time.Sleep(every)
		synctest.Wait()
		f.check(2, 3)
		if got := f.Stats().Error; !strings.Contains(got, "too old") {
			t.Errorf("error %q", got)
		}
		answer.PartialSuccess.RejectedSpans = 1000 // more than there were
		f.record(1)
		time.Sleep(every)
		synctest.Wait()
		f.check(2, 4)
		answer.PartialSuccess = nil
		f.record(1)
		f.stop()
		f.check(3, 4)
		if got := f.Stats().Error; got != "" {
			t.Errorf("error %q after all was taken", got)
		}
	})
}

// hang answers when the request is given up.
func hang(_ int, r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// A receiver that hangs holds up nobody: what is one too many is dropped, and counted.
func TestHangingReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, hang)
		const n = 20_000
		f.record(n) // in no time
		if f.Stats().Dropped == 0 {
			t.Error("nothing is dropped: the memory has no bound")
		}
		time.Sleep(5 * time.Second)
		before := time.Now()
		f.stop()
		if took := time.Since(before); took > flushWithin {
			t.Errorf("the end took %s, more than %s", took, flushWithin)
		}
		if s := f.Stats(); s.Sent != 0 || s.Dropped == 0 || s.Error != "" && !strings.Contains(s.Error, "deadline") {
			t.Errorf("stats %+v", s)
		}
	})
}

// What is left at the end is sent, also what waits to be sent again; nothing waits for
// another try then.
func TestEnd(t *testing.T) {
	for _, busy := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := start(t, func(n int, _ *http.Request) (*http.Response, error) {
				if n == 1 || busy {
					return answers(503, "Retry-After", "60")
				}
				return answers(200)
			})
			f.record(2)
			time.Sleep(2 * every)
			synctest.Wait()
			f.record(3)
			before := time.Now()
			f.stop()
			if took := time.Since(before); took > 0 {
				t.Errorf("the end took %s", took)
			}
			if busy {
				f.check(0, 5)
			} else {
				f.check(5, 0)
			}
		})
	}
}

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, func(_ int, r *http.Request) (*http.Response, error) {
			if r.URL.Host == "receiver" {
				return answers(503, "Retry-After", "60")
			}
			return answers(200)
		})
		f.record(2)
		time.Sleep(2 * every)

		t.Log("# the same receiver is left alone")
		f.Configure("http://receiver", Resource{Instance: "lb1", Version: "1"})
		synctest.Wait()
		if len(f.calls) != 1 {
			t.Fatalf("calls %+v", f.calls)
		}

		t.Log("# another one gets what waits, at once")
		f.Configure("http://other/otel", Resource{Instance: "lb1", Version: "1"})
		synctest.Wait()
		if len(f.calls) != 2 || f.calls[1].url != "http://other/otel/v1/traces" {
			t.Fatalf("calls %+v", f.calls)
		}
		f.check(2, 0)

		t.Log("# without one nothing is sent")
		f.Configure("", Resource{})
		f.record(3)
		time.Sleep(time.Minute)
		f.stop()
		f.check(2, 3)
		if len(f.calls) != 2 {
			t.Errorf("calls %+v", f.calls)
		}
		if got := f.Stats().Receiver; got != "" {
			t.Errorf("receiver %q", got)
		}
	})
}

// What fails is told of the receiver that it failed with, though there is another by then.
func TestAFaultIsThatOfItsReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answerC := make(chan int)
		f := start(t, func(int, *http.Request) (*http.Response, error) { return answers(<-answerC) })
		f.record(1)
		time.Sleep(every)
		synctest.Wait() // the call is on its way
		f.Configure("http://other", Resource{})
		answerC <- 503
		synctest.Wait()
		if got := f.Stats(); got.Receiver != "http://other" || got.Error != "" {
			t.Errorf("of a receiver that was not asked yet: %+v", got)
		}
		answerC <- 503
		synctest.Wait()
		f.Configure("http://other", Resource{}) // which changes nothing
		if got := f.Stats(); got.Error == "" {
			t.Errorf("of a receiver that is busy: %+v", got)
		}
		go func() {
			for range tries {
				answerC <- 200
			}
		}()
		time.Sleep(time.Minute)
		f.stop()
		f.check(1, 0)
		for range tries - 1 {
			<-answerC
		}
	})
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, "300": 5 * time.Minute, "301": maxAfter, "99999999999999999999": 0, "-1": 0, "1.5": 0, "soon": 0,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute, "Fri, 02 Jan 2026 03:00:00 GMT": 0, "Sat, 03 Jan 2026 03:04:05 GMT": maxAfter,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("Retry-After %q: %s, want %s", value, got, want)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	text, err := proto.Marshal(&collectorpb.ExportTraceServiceResponse{PartialSuccess: &collectorpb.ExportTracePartialSuccess{RejectedSpans: -3, ErrorMessage: "x"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("<html>"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		if p := rejection(answer); p.rejected < 0 {
			t.Errorf("%d spans of %q are rejected", p.rejected, answer)
		}
	})
}

// A certificate that nobody vouches for is refused.
func TestTLS(t *testing.T) {
	taken := make(chan int, 1)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		m, err := decode(r.Body)
		if err != nil {
			t.Error(err)
		}
		taken <- len(m.ResourceSpans)
	}))
	s.Config.ErrorLog = zap.NewStdLog(zap.NewNop())
	s.StartTLS()
	t.Cleanup(s.Close)
	for _, known := range []bool{false, true} {
		tracer := trace.New()
		tracer.Configure(true, 1)
		b := tracer.NewBuffer(rand.NewPCG(1, 2))
		e := New(tracer, zap.NewNop(), nil)
		if known {
			e.client.Transport.(*http.Transport).TLSClientConfig = s.Client().Transport.(*http.Transport).TLSClientConfig
		}
		e.Configure(s.URL, Resource{})
		b.End(b.Begin(trace.Context{}, time.Now()))
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // so that it sends what is there, and ends
		if err := e.Run(ctx); err != nil {
			t.Error(err)
		}
		got := e.Stats()
		switch {
		case known && (got.Sent != 1 || got.Error != "" || <-taken != 1):
			t.Errorf("stats %+v", got)
		case !known && (got.Dropped != 1 || !strings.Contains(got.Error, "certificate")):
			t.Errorf("stats %+v with a certificate that is unknown", got)
		}
	}
}

// A receiver is found by what the lookup says, at the first of its addresses that answers.
func TestReceiverByName(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, host, want string
		found            []string
	}{
		{"an address", "127.0.0.1", "", nil},
		{"a name", "collector.example", "", []string{"::ffff:127.0.0.1"}},
		{"the second address answers", "collector.example", "", []string{"127.0.0.99", "127.0.0.1"}},
		{"nobody answers", "collector.example", "127.0.0.99:" + port, []string{"127.0.0.99"}},
		{"no such name", "collector.example", "no such host", nil},
	} {
		client := newClient(func(_ context.Context, host string) ([]netip.Addr, error) {
			if host != "collector.example" {
				t.Errorf("%s: asked for %q", tc.name, host)
			}
			if tc.found == nil {
				return nil, errors.New("no such host")
			}
			var all []netip.Addr
			for _, a := range tc.found {
				all = append(all, netip.MustParseAddr(a))
			}
			return all, nil
		})
		res, err := client.Get("http://" + net.JoinHostPort(tc.host, port))
		if err == nil {
			res.Body.Close()
		}
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", tc.name, err)
		}
		client.CloseIdleConnections()
	}
}

// FuzzRetryAfter reads how long a receiver asks to wait.
func FuzzRetryAfter(f *testing.F) {
	for _, v := range []string{"", "1", "-1", "99999999999", "Wed, 21 Oct 2026 07:28:00 GMT", "soon"} {
		f.Add(v)
	}
	now := time.Date(2026, 10, 21, 7, 27, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, value string) {
		if d := retryAfter(value, now); d < 0 || d > maxAfter {
			t.Errorf("%q: %v", value, d)
		}
	})
}
