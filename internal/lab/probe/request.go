package probe

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	defaultDialWithin = 50 * time.Millisecond
	requestWithin     = time.Second // from the start of the dial to the end of the answer
)

// outcome is the server that answered, or the failure.
type outcome struct {
	server  string
	failure Failure
}

// request connects, sends a request that began at start, and reads the answer:
// status 200 with a server's name for a body.
func request(ctx context.Context, target netip.AddrPort, start time.Time, dialWithin time.Duration) outcome {
	d := net.Dialer{Timeout: dialWithin, KeepAlive: -1}
	conn, err := d.DialContext(ctx, "tcp", target.String())
	if err != nil {
		return outcome{failure: classify(err, Timeout)}
	}
	defer conn.Close()
	server, failure := exchange(conn, target, start)
	if tcp, ok := conn.(*net.TCPConn); ok && !ended(conn) {
		// Closing first would leave the port in TIME_WAIT; at a thousand
		// connections a second there would soon be none left.
		_ = tcp.SetLinger(0)
	}
	return outcome{server, failure}
}

func exchange(conn net.Conn, target netip.AddrPort, start time.Time) (string, Failure) {
	if err := conn.SetDeadline(start.Add(requestWithin)); err != nil {
		return "", classify(err, Other)
	}
	_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+target.String()+"\r\nConnection: close\r\n\r\n")
	if err != nil {
		return "", classify(err, Slow)
	}
	answer, err := http.ReadResponse(bufio.NewReaderSize(conn, 1024), nil)
	if err != nil {
		if failure := classify(err, Slow); failure != Other {
			return "", failure
		}
		return "", Bad // it is no HTTP
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, 256))
	if err != nil {
		return "", classify(err, Slow)
	}
	if answer.StatusCode != http.StatusOK || !validName(string(body)) {
		return "", Bad
	}
	return string(body), ""
}

// ended waits for the other side to close and reports whether it did.
func ended(conn net.Conn) bool {
	var b [1]byte
	_, err := conn.Read(b[:])
	return errors.Is(err, io.EOF)
}

// classify names the failure; late is what running out of time means here.
func classify(err error, late Failure) Failure {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, unix.ETIMEDOUT):
		return late
	case errors.Is(err, unix.ECONNREFUSED):
		return Refused
	case errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return Reset
	case errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.ENETUNREACH):
		return Unreachable
	}
	return Other
}

// pause sleeps for d in the kernel. The timers of the Go runtime are a
// millisecond coarse, which is the pace itself.
func pause(d time.Duration) {
	for d > 0 {
		t := unix.NsecToTimespec(int64(d))
		var left unix.Timespec
		if unix.Nanosleep(&t, &left) == nil {
			return
		}
		d = time.Duration(left.Nano()) // a signal came between
	}
}
