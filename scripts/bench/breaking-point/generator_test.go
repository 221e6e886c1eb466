package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/config"
	"github.com/tandemlb/tandem/scripts/bench/side"
)

// listening serves each connection by f until the test ends; with TLS, if the files of a
// certificate are given.
func listening(t *testing.T, f func(net.Conn), certificate *side.Files) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().(*net.TCPAddr).AddrPort()
	if certificate != nil {
		pair, err := tls.LoadX509KeyPair(certificate.Cert, certificate.Key)
		if err != nil {
			t.Fatal(err)
		}
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}})
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- side.Serve(ctx, l, f) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return address
}

func certified(t *testing.T) side.Files {
	t.Helper()
	f, err := side.Certify(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// small is a load of some ninety requests.
func small(address netip.AddrPort, p protocol) load {
	return load{
		address: address, protocol: p, ready: 4, most: 1000, patience: 20 * time.Second, seed: 3,
		stretches: []stretch{{100 * time.Millisecond, 300}, {200 * time.Millisecond, 600}},
	}
}

func TestEveryRequestIsAnswered(t *testing.T) {
	f := certified(t)
	for name, tc := range map[string]struct {
		protocol   protocol
		tls, fresh bool
	}{
		"http, kept":       {http(), false, false},
		"http, fresh":      {http(), false, true},
		"https, kept":      {http(), true, false},
		"https, fresh":     {http(), true, true},
		"messages":         {echo(), false, false},
		"messages, fresh":  {echo(), false, true},
		"messages in TLS":  {echo(), true, false},
		"fresh within TLS": {echo(), true, true},
	} {
		t.Run(name, func(t *testing.T) {
			var files *side.Files
			if tc.tls {
				files = &f
			}
			l := small(listening(t, play, files), tc.protocol)
			l.tls, l.fresh = tc.tls, tc.fresh
			if l.fresh {
				l.ready = 0
			}
			var called []time.Duration
			got, err := l.run(t.Context(), []moment{
				{50 * time.Millisecond, func() { called = append(called, 50) }},
				{200 * time.Millisecond, func() { called = append(called, 200) }},
			})
			if err != nil {
				t.Fatal(err)
			}
			all := tallied(got.samples, 0, time.Second)
			if all.total() < 50 || all.kinds[served] != all.total() {
				t.Errorf("%d of %d requests were served: %s", all.kinds[served], all.total(), causes(all))
			}
			if len(got.late) != all.total() || len(called) != 2 {
				t.Errorf("%d latenesses of %d, moments %v", len(got.late), all.total(), called)
			}
			if got.settled >= l.patience || got.open > l.most || !l.fresh && got.open < l.ready {
				t.Errorf("settled after %v, with %d connections", got.settled, got.open)
			}
		})
	}
}

// What a server does to its clients, and what they make of it.
func TestWhatBecomesOfRequests(t *testing.T) {
	answering := func(text string) func(net.Conn) {
		return func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4<<10))
			_, _ = c.Write([]byte(text))
		}
	}
	for name, tc := range map[string]struct {
		server func(net.Conn)
		want   string
	}{
		"turned away": {answering("HTTP/1.1 503 No\r\nContent-Length: 0\r\nRetry-After: 1\r\nX-Tandem-Reason: queue-full\r\nConnection: close\r\n\r\n"), "503 queue-full"},
		"closed":      {answering(""), ended},
		"no HTTP":     {answering("hello\r\n\r\n"), malformed},
		"reset": {func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4<<10))
			_ = c.(*net.TCPConn).SetLinger(0)
		}, reset},
		"silent": {func(c net.Conn) {
			for {
				if _, err := c.Read(make([]byte, 4<<10)); err != nil {
					return
				}
			}
		}, timedOut},
	} {
		t.Run(name, func(t *testing.T) {
			l := small(listening(t, tc.server, nil), http())
			l.ready = 0
			if tc.want == timedOut {
				l.patience = 50 * time.Millisecond
			}
			got, err := l.run(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			all := tallied(got.samples, 0, time.Second)
			if all.total() < 50 || all.kinds[tc.want] != all.total() {
				t.Errorf("%s of %d; want all %s", causes(all), all.total(), tc.want)
			}
			if tc.want == "503 queue-full" && (got.denied != all.total() || got.hinted != got.denied) {
				t.Errorf("%d denials, %d with Retry-After; want %d", got.denied, got.hinted, all.total())
			}
		})
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	l := small(listening(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 1)); _, _ = c.Read(make([]byte, 9000)) }, nil), http())
	l.most, l.patience = 10, 100*time.Millisecond
	l.protocol.request = []byte("x")
	l.ready = 2
	got, err := l.run(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	all := tallied(got.samples, 0, time.Second)
	if got.open != 10 || all.kinds[unsent] == 0 {
		t.Errorf("%d connections; %s", got.open, causes(all))
	}
}

func TestNobodyListens(t *testing.T) {
	address, err := side.FreePort("tcp")
	if err != nil {
		t.Fatal(err)
	}
	l := small(netip.MustParseAddrPort(address), http())
	if _, err := l.run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), refused) {
		t.Errorf("got %v, want an error that says %q", err, refused)
	}
}

func TestConfigsAreUnderstood(t *testing.T) {
	f := certified(t)
	for _, l := range ladders() {
		for _, rate := range []float64{0, 1234.5} {
			text := tandem(l, f, "tandem", rate).Config
			text = strings.NewReplacer("LISTEN", "127.0.0.1:1", "BACKEND", "127.0.0.1:2", "DIR", "/d").Replace(text)
			if _, err := config.Parse("tandem.yaml", []byte(text)); err != nil {
				t.Errorf("%s, %v a second: %v\n%s", l.name, rate, err, text)
			}
		}
		if text := haproxy(l, f).Config; !strings.Contains(text, "maxconn ") || strings.Contains(text, "%!") {
			t.Errorf("%s: %s", l.name, text)
		}
	}
}

func TestRecordsRefuseWhatIsMalformed(t *testing.T) {
	newPair := func() (client, server *records) {
		a, b := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
		client, err := newRecords(a, b)
		if err != nil {
			t.Fatal(err)
		}
		if server, err = newRecords(b, a); err != nil {
			t.Fatal(err)
		}
		return client, server
	}
	client, server := newPair()
	whole := bytes.Clone(server.seal([]byte("hello")))
	if n, _, err := client.open(whole[:len(whole)-1]); n != 0 || err != nil {
		t.Errorf("a part of a record: %d, %v", n, err)
	}
	if n, text, err := client.open(whole); n != len(whole) || string(text) != "hello" || err != nil {
		t.Errorf("a record: %d, %q, %v", n, text, err)
	}
	if _, _, err := client.open(whole); err == nil {
		t.Error("a record is taken twice")
	}
	for at := range whole {
		client, _ := newPair()
		bad := bytes.Clone(whole)
		bad[at] ^= 0x80
		if n, text, err := client.open(bad); err == nil && n > 0 {
			t.Errorf("byte %d is another one: %q", at, text)
		}
	}
}

func FuzzRecords(f *testing.F) {
	f.Add([]byte{23, 3, 3, 0, 20, 1, 2, 3})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := newRecords(make([]byte, 32), make([]byte, 32))
		if err != nil {
			t.Fatal(err)
		}
		if n, _, err := r.open(data); err == nil && n > len(data) {
			t.Errorf("%d of %d bytes", n, len(data))
		}
	})
}

func TestReportShowsWhatWasMeasured(t *testing.T) {
	held := step{System: "tandem", Rate: 1000, tally: tallied(samples(served, 0, time.Second, time.Millisecond), 0, time.Second), Held: true}
	broke := step{System: "tandem", Rate: 1500, tally: tallied(append(samples(served, 0, time.Second, 300*time.Millisecond), samples("503 connections", 0, 100*time.Millisecond, 1)...), 0, time.Second), Late: true}
	c := climb{
		ladder: ladders()[0], systems: []string{"tandem"}, steps: []step{broke, held}, knees: map[string]float64{"tandem": 1000, "haproxy": 2000},
		ordeals: []ordeal{{System: "tandem", Knee: 1000, during: broke.tally, recovery: 1500 * time.Millisecond, recovered: true}},
	}
	text := options{share: 0.5}.tables([]climb{c})
	for _, want := range []string{"| 1.0k/s | 0.50 |", "p99 300 ms, 9.1 % 503 connections", "| 1.5 s |", "http, tandem, 1.5k/s"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if svg := picture([]climb{c}, time.Second); strings.Count(svg, "hollow c0") != 2 || !strings.HasPrefix(svg, "<svg") {
		t.Errorf("the picture of one rate that held and one that did not:\n%s", svg)
	}
}
