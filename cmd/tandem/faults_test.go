package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/lab/faulty"
)

const (
	faultyBody = 4096 // bytes of every answer
	ejectAfter = 5    // failures in a row
)

// resilient is a pool's config with everything on that bears failures.
const resilient = `
    check: {http: GET /healthz, every: 100ms, fall: 2}
    outlier: {consecutive: 5, eject: 1m}
    breaker: {error_rate: 50%, window: 10s, minimum: 20, open: 1s}
    retry: {attempts: 3, on: [connect, reset, empty, timeout, 502, 503, 504], backoff: 1ms}
    timeouts: {response: 500ms, body_idle: 500ms}
`

// farm is three servers, each of which can be told to misbehave, behind a node.
type farm struct {
	*single
	ledger  *faulty.Ledger
	servers []*faulty.Server
	client  *http.Client
	serial  atomic.Int64
}

// newFarm starts a farm for HTTP whose pool has more of the config.
func newFarm(t *testing.T, more string) *farm {
	t.Helper()
	return newFarmOf(t, "http", more)
}

func newFarmOf(t *testing.T, protocol, more string) *farm {
	t.Helper()
	f := &farm{ledger: faulty.NewLedger(), client: &http.Client{
		Timeout: patience,
		// A client that keeps connections sends again itself what fails on one.
		Transport: &http.Transport{DisableKeepAlives: true},
	}}
	var addresses []string
	for range 3 {
		s, err := faulty.Start(faulty.Options{
			Address: reservePort(t), Body: strings.Repeat("x", faultyBody), Spare: "/healthz", Ledger: f.ledger,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		f.servers = append(f.servers, s)
		addresses = append(addresses, fmt.Sprintf("%q", s.Address()))
	}
	f.single = runSingle(t, func(address string) string {
		return fmt.Sprintf("listeners: {web: {bind: %q, protocol: %s, pool: web}}\npools:\n  web:\n    servers: [%s]\n    %s\n",
			address, protocol, strings.Join(addresses, ", "), strings.TrimSpace(more))
	})
	return f
}

// reservePort returns an address that nobody else gets, also while nobody listens
// there. Of two nodes with one port, one would get the clients of both tests.
func reservePort(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", bound.(*unix.SockaddrInet4).Port)
}

// send sends a request with a new identity. The result is "whole" for the answer of
// a server as it should be, "broken" for one that ends before it is, and the status
// for any other.
func (f *farm) send(method string) string {
	id := fmt.Sprintf("%s-%d", method, f.serial.Add(1))
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader("order " + id)
	}
	r, err := http.NewRequest(method, "http://"+f.address+"/", body)
	if err != nil {
		return err.Error()
	}
	r.Header.Set("X-Request-Id", id)
	res, err := f.client.Do(r)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	var late net.Error
	switch {
	case errors.As(err, &late) && late.Timeout():
		return "never ends"
	case res.StatusCode != http.StatusOK:
		return fmt.Sprint(res.StatusCode)
	case res.Header.Get("Answers") != id:
		return "the answer to " + res.Header.Get("Answers")
	case err != nil:
		return "broken"
	case len(got) != faultyBody:
		return fmt.Sprintf("%d bytes that seem whole", len(got))
	}
	return "whole"
}

// sendAll sends requests, one after another, and counts the results.
func (f *farm) sendAll(n int, method string) map[string]int {
	got := map[string]int{}
	for range n {
		got[f.send(method)]++
	}
	return got
}

// retries waits until as many requests are logged, and returns how often they were
// sent again.
func (f *farm) retries(requests int) int {
	f.t.Helper()
	sum := 0
	f.eventually("all requests are logged", func() bool {
		seen := 0
		sum = 0
		for line := range strings.Lines(f.text()) {
			var a struct {
				ID      string `json:"correlationId"`
				Retries int    `json:"retries"`
			}
			if json.Unmarshal([]byte(line), &a) == nil && strings.HasPrefix(a.ID, http.MethodGet) {
				seen++
				sum += a.Retries
			}
		}
		return seen >= requests
	})
	return sum
}

// Each way in which one of three servers may misbehave, with what clients then get
// instead of whole answers: nothing else may come, and it does come, so that the
// servers are known to have misbehaved.
func faultCases() []faultCase {
	return []faultCase{
		{faulty.Fault{Kind: faulty.Refuse}, ""},
		{faulty.Fault{Kind: faulty.Reset}, ""},
		{faulty.Fault{Kind: faulty.ResetAt}, ""},
		{faulty.Fault{Kind: faulty.CloseAt}, ""},
		{faulty.Fault{Kind: faulty.StallHead}, ""},
		{faulty.Fault{Kind: faulty.Status, Status: 503}, ""},
		{faulty.Fault{Kind: faulty.Status, Status: 502, Hit: 2, Of: 4}, ""},
		{faulty.Fault{Kind: faulty.Status, Status: 504, Hit: 1, Of: 3, Seed: 11}, ""},
		{faulty.Fault{Kind: faulty.Slow, Rate: 40_000}, ""},
		{faulty.Fault{Kind: faulty.LongBody, Bytes: 10}, ""},
		{faulty.Fault{Kind: faulty.Double}, ""},
		// The server has begun to answer: it has acted.
		{faulty.Fault{Kind: faulty.ResetAt, Bytes: 12}, "502"},
		{faulty.Fault{Kind: faulty.CloseAt, Bytes: 12}, "502"},
		{faulty.Fault{Kind: faulty.Garbage}, "502"},
		// The client has got a part, and must see that it is one.
		{faulty.Fault{Kind: faulty.ResetAt, Bytes: 2000}, "broken"},
		{faulty.Fault{Kind: faulty.CloseAt, Bytes: 2000}, "broken"},
		{faulty.Fault{Kind: faulty.StallBody, Bytes: 2000}, "broken"},
		{faulty.Fault{Kind: faulty.ShortBody, Bytes: 1}, "broken"},
		{faulty.Fault{Kind: faulty.BadChunks}, "broken"},
		{faulty.Fault{Kind: faulty.OpenChunks}, "broken"},
	}
}

type faultCase struct {
	fault faulty.Fault
	seen  string
}

func TestClientsSeeNoFailureThatARetryMayHide(t *testing.T) {
	t.Parallel()
	for _, reuse := range []bool{true, false} {
		for _, test := range faultCases() {
			name, more := test.fault.String()+", on kept connections", resilient
			if !reuse {
				name, more = test.fault.String()+", on new connections", resilient+"    limits: {idle: 0}\n"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f := newFarm(t, more)
				f.sendAll(30, http.MethodGet) // connections, and a budget for retries
				if err := f.servers[1].Set(test.fault); err != nil {
					t.Fatal(err)
				}
				got := f.sendAll(60, http.MethodGet)
				bad := got[test.seen]
				delete(got, "whole")
				delete(got, test.seen)
				if len(got) > 0 {
					t.Errorf("clients got %v, want whole answers, and %q", got, test.seen)
				}
				if test.seen != "" && (bad == 0 || bad > ejectAfter) {
					t.Errorf("%d answers were %s, want 1 to %d: then the server is set aside", bad, test.seen, ejectAfter)
				}
			})
		}
	}
}

// On TCP nothing is known of requests: what may be hidden is that nobody listens.
// Whatever else happens to a connection happens to the client's.
func TestTCPClientsSeeWhatTheyMust(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		fault faulty.Fault
		seen  bool
	}{
		{faulty.Fault{Kind: faulty.Refuse}, false},
		{faulty.Fault{Kind: faulty.ResetAt, Bytes: 2000}, true},
		{faulty.Fault{Kind: faulty.CloseAt, Bytes: 2000}, true},
	} {
		t.Run(test.fault.String(), func(t *testing.T) {
			t.Parallel()
			f := newFarmOf(t, "tcp", "check: {http: GET /healthz, every: 100ms, fall: 2}")
			if err := f.servers[1].Set(test.fault); err != nil {
				t.Fatal(err)
			}
			got := f.sendAll(30, http.MethodGet)
			for _, id := range f.ledger.Repeated() {
				if strings.HasPrefix(id, http.MethodGet) {
					t.Errorf("%s was served %d times", id, f.ledger.Arrivals(id))
				}
			}
			whole, broken := got["whole"], got["broken"]
			if whole+broken != 30 || broken > 0 != test.seen {
				t.Errorf("clients got %v; broken ones are expected: %v", got, test.seen)
			}
		})
	}
}

func TestNoServerActsTwiceOnAnOrder(t *testing.T) {
	t.Parallel()
	for _, test := range faultCases() {
		t.Run(test.fault.String(), func(t *testing.T) {
			t.Parallel()
			f := newFarm(t, resilient)
			f.sendAll(30, http.MethodGet)
			if err := f.servers[1].Set(test.fault); err != nil {
				t.Fatal(err)
			}
			f.sendAll(40, http.MethodPost)
			for _, id := range f.ledger.Repeated() {
				if strings.HasPrefix(id, http.MethodPost) {
					t.Errorf("%s was served %d times", id, f.ledger.Arrivals(id))
				}
			}
		})
	}
}

// With every server failing, a retry helps nobody. What the servers get then is
// bounded by the budget: a fifth of the requests, and three that always may, which
// come back within ten seconds.
func TestRetriesAreNoStorm(t *testing.T) {
	t.Parallel()
	const requests, workers = 400, 8
	bare := `
    retry: {attempts: 3, on: [connect, reset, empty, timeout, 502, 503, 504], backoff: 1ms}
`
	for _, test := range []struct {
		name  string
		more  string
		fault faulty.Fault
	}{
		{"the budget alone, status 503", bare, faulty.Fault{Kind: faulty.Status, Status: 503}},
		{"the budget alone, reset", bare, faulty.Fault{Kind: faulty.ResetAt}},
		{"the budget alone, refused", bare, faulty.Fault{Kind: faulty.Refuse}},
		{"all together, status 503", resilient, faulty.Fault{Kind: faulty.Status, Status: 503}},
		{"all together, reset", resilient, faulty.Fault{Kind: faulty.ResetAt}},
		{"all together, refused", resilient, faulty.Fault{Kind: faulty.Refuse}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFarm(t, test.more)
			for _, s := range f.servers {
				if err := s.Set(test.fault); err != nil {
					t.Fatal(err)
				}
			}
			before, begin := f.ledger.Requests(), time.Now()
			var all sync.WaitGroup
			for range workers {
				all.Go(func() { f.sendAll(requests/workers, http.MethodGet) })
			}
			all.Wait()
			// What was refused has not arrived anywhere, but is in the log.
			attempts := max(f.ledger.Requests()-before, requests+f.retries(requests))
			const harness = 1 // has asked before
			most := 1.2*requests + 3*(1+time.Since(begin).Seconds()/10) + harness
			if float64(attempts) > most {
				t.Errorf("%d requests became %d attempts, want %.0f at most", requests, attempts, most)
			}
			t.Logf("%d requests, %d attempts", requests, attempts)
		})
	}
}
