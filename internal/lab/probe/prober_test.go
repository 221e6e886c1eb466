package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// serve answers every connection on loopback through answer, until the test
// ends.
func serve(t *testing.T, answer func(net.Conn)) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			answer(conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-ended })
	return netip.MustParseAddrPort(ln.Addr().String())
}

// reply reads a request and answers it with text.
func reply(text string) func(net.Conn) {
	return func(conn net.Conn) {
		var b [1024]byte
		conn.Read(b[:])
		io.WriteString(conn, text)
	}
}

func TestRequest(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer func(net.Conn)
		want   outcome
	}{
		{"answered", reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\ns1"), outcome{server: "s1"}},
		{"answered, length by close", reply("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\ns1"), outcome{server: "s1"}},
		{"an error status", reply("HTTP/1.1 503 Unavailable\r\nContent-Length: 2\r\n\r\ns1"), outcome{failure: Bad}},
		{"no name", reply("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), outcome{failure: Bad}},
		{"a page", reply("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"), outcome{failure: Bad}},
		{"cut short", reply("HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\ns1"), outcome{failure: Reset}},
		{"cut short in the head", reply("HTTP/1.1 200 OK\r\n"), outcome{failure: Reset}},
		{"no HTTP", reply("220 mail.example.com ESMTP\r\n"), outcome{failure: Bad}},
		{"no answer", reply(""), outcome{failure: Reset}},
	} {
		t.Run(test.name, func(t *testing.T) {
			target := serve(t, test.answer)
			if got := request(t.Context(), target, time.Now(), defaultDialWithin); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestRequestOutOfTime(t *testing.T) {
	target := serve(t, reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\ns1"))
	long := time.Now().Add(-2 * requestWithin)
	if got, want := request(t.Context(), target, long, defaultDialWithin), (outcome{failure: Slow}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestRequestRefused(t *testing.T) {
	// Bound but not listening: nobody else can take the port meanwhile.
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	target := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(sa.(*unix.SockaddrInet4).Port))
	if got, want := request(t.Context(), target, time.Now(), defaultDialWithin), (outcome{failure: Refused}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestClassify(t *testing.T) {
	for _, test := range []struct {
		err  error
		want Failure
	}{
		{&net.OpError{Op: "dial", Err: context.DeadlineExceeded}, Timeout},
		{unix.ETIMEDOUT, Timeout},
		{unix.ECONNRESET, Reset},
		{unix.EPIPE, Reset},
		{unix.EHOSTUNREACH, Unreachable},
		{unix.ENETUNREACH, Unreachable},
		{unix.EADDRNOTAVAIL, Other},
	} {
		if got := classify(test.err, Timeout); got != test.want {
			t.Errorf("%v is %q, want %q", test.err, got, test.want)
		}
	}
}

func TestProberReports(t *testing.T) {
	target := serve(t, reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\ns1"))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	in, out := io.Pipe()
	r := NewRecorder()
	probed, recorded := make(chan error, 1), make(chan error, 1)
	probing, stop := context.WithCancel(ctx)
	go func() {
		err := Prober{Target: target, Every: time.Millisecond, DialWithin: requestWithin}.Run(probing, out)
		out.Close()
		probed <- err
	}()
	go func() { recorded <- r.Record(in) }()

	begin := time.Now()
	if err := r.WaitSettled(ctx, begin.Add(200*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := errors.Join(<-probed, <-recorded); err != nil {
		t.Fatal(err)
	}
	samples := r.Samples()
	if len(samples) < 100 {
		t.Errorf("%d requests in 200 ms", len(samples))
	}
	for _, s := range samples {
		if s.Server != "s1" {
			t.Fatalf("sample %+v, want an answer of s1", s)
		}
	}
}

func TestProberStopsWhenNobodyListens(t *testing.T) {
	target := serve(t, reply(""))
	in, out := io.Pipe()
	in.CloseWithError(io.ErrClosedPipe)
	err := Prober{Target: target, Every: time.Millisecond}.Run(t.Context(), out)
	if !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("run: %v, want %v", err, io.ErrClosedPipe)
	}
}

func TestAdmitBoundsRequestsInFlight(t *testing.T) {
	r := newRun(time.Now())
	for i := range maxInFlight {
		if !r.admit(time.Duration(i)) {
			t.Fatalf("request %d was not admitted", i)
		}
	}
	if r.admit(7 * ms) {
		t.Fatal("more requests were admitted than the bound")
	}
	want := Sample{Start: 7 * ms, Failure: Overload}
	if len(r.batch.Samples) != 1 || r.batch.Samples[0] != want {
		t.Errorf("samples %v, want %v", r.batch.Samples, want)
	}
}

func TestFlushSettlesBeforeTheOldestInFlight(t *testing.T) {
	began := time.Now()
	r := newRun(began)
	r.admit(3 * ms)
	r.admit(5 * ms)
	r.done <- result{1, outcome{server: "s1"}}
	var line writer
	if err := r.flush(&line, began.Add(9*ms)); err != nil {
		t.Fatal(err)
	}
	r.done <- result{2, outcome{failure: Slow}}
	if err := r.flush(&line, began.Add(20*ms)); err != nil {
		t.Fatal(err)
	}
	if want := "5000 3000+s1\n20000 5000-slow\n"; string(line) != want {
		t.Errorf("wrote %q, want %q", line, want)
	}
}

type writer []byte

func (w *writer) Write(p []byte) (int, error) {
	*w = append(*w, p...)
	return len(p), nil
}

func TestRequestGivesUpAConnectionInTime(t *testing.T) {
	// Documentation's addresses lead nowhere; what is tested is whose patience counts.
	got := request(t.Context(), netip.MustParseAddrPort("192.0.2.1:80"), time.Now(), time.Nanosecond)
	if got != (outcome{failure: Timeout}) {
		t.Errorf("got %+v, want a timeout", got)
	}
}
