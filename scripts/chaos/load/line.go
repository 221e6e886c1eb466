// Package load is the clients of a pair: HTTP, TLS, TCP and UDP at a steady pace, on
// new connections and on kept ones. Each request is a line of text when its outcome
// is known.
package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The classes of requests.
const (
	HTTP     = "http"      // a new connection each
	HTTPKept = "http-kept" // on kept connections
	TLS      = "tls"       // a new session each
	TCP      = "tcp"       // an echo on a new connection each
	TCPKept  = "tcp-kept"  // echoes on connections that are meant to stay
	UDP      = "udp"       // an echo of a datagram
	Control  = "control"   // an echo on a new connection each, of a server that no node stands before
	Late     = "late"      // no request: the process was scheduled that late
)

// Why a request failed.
const (
	Timeout     = "timeout" // no answer in time
	Refused     = "refused"
	Reset       = "reset"
	Closed      = "closed" // in the middle
	Unreachable = "unreachable"
	BadStatus   = "status" // with its number appended
	Wrong       = "wrong"  // an answer, and not that which was due
	Other       = "other"
)

// A Line is what became of a request.
type Line struct {
	End    time.Time     // whole microseconds
	Span   time.Duration // whole microseconds
	Class  string
	Reason string // empty: it was answered
}

// Append appends the line's text with its line feed.
func (l Line) Append(b []byte) []byte {
	b = strconv.AppendInt(b, l.End.UnixMicro(), 10)
	b = strconv.AppendInt(append(b, ' '), l.Span.Microseconds(), 10)
	b = append(append(b, ' '), l.Class...)
	if l.Reason != "" {
		b = append(append(b, ' '), l.Reason...)
	}
	return append(b, '\n')
}

// Parse reads what Append wrote, with or without its line feed.
func Parse(text string) (Line, error) {
	fields := strings.Split(strings.TrimSuffix(text, "\n"), " ")
	if len(fields) < 3 || len(fields) > 4 {
		return Line{}, fmt.Errorf("parse outcome %q: want three or four fields", text)
	}
	end, err1 := strconv.ParseUint(fields[0], 10, 52)
	span, err2 := strconv.ParseUint(fields[1], 10, 42)
	if err := errors.Join(err1, err2); err != nil {
		return Line{}, fmt.Errorf("parse outcome %q: %w", text, err)
	}
	l := Line{End: time.UnixMicro(int64(end)), Span: time.Duration(span) * time.Microsecond, Class: fields[2]}
	if l.Class == "" {
		return Line{}, fmt.Errorf("parse outcome %q: no class", text)
	}
	if len(fields) == 4 {
		if l.Reason = fields[3]; l.Reason == "" {
			return Line{}, fmt.Errorf("parse outcome %q: no reason", text)
		}
	}
	return l, nil
}

// reason names why a request failed.
func reason(err error) string {
	var w wrong
	switch {
	case err == nil:
		return ""
	case errors.As(err, &w):
		return string(w)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, unix.ETIMEDOUT):
		return Timeout
	case errors.Is(err, unix.ECONNREFUSED):
		return Refused
	case errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE):
		return Reset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return Closed
	case errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.ENETUNREACH):
		return Unreachable
	}
	return Other
}

// wrong is an answer that is not the one that was due.
type wrong string

func (w wrong) Error() string { return "the answer is wrong: " + string(w) }
