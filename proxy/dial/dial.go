// Package dial connects to the servers of a pool on behalf of clients, and tells
// a server's health what came of it.
package dial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy/upstream"
)

// Dialer connects to servers. Multiple goroutines may use a Dialer at the same
// time.
type Dialer struct {
	Timeout time.Duration // of one connect

	// Observe is called when a connect changed a server's health or asks for a
	// check. It must not block.
	Observe func(*upstream.Server, upstream.Verdict)
}

// Error is a connect that failed: nothing was sent to the server.
type Error struct {
	Server netip.AddrPort
	Err    error
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("connect to server %s: %v", e.Server, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether the server did not answer in time.
func (e *Error) Timeout() bool {
	ne, ok := errors.AsType[net.Error](e.Err)
	return ok && ne.Timeout()
}

// Dial connects to s; TCP keep-alive is on. Every error is an *Error. An error that
// is not the server's doing, such as the end of ctx, leaves its health alone.
func (d *Dialer) Dial(ctx context.Context, s *upstream.Server) (*net.TCPConn, error) {
	nd := net.Dialer{Timeout: d.Timeout}
	c, err := nd.DialContext(ctx, "tcp", s.Address().String())
	if ctx.Err() == nil || err == nil {
		Judge(s, time.Now(), err, d.Observe)
	}
	if err != nil {
		return nil, &Error{Server: s.Address(), Err: err}
	}
	return c.(*net.TCPConn), nil
}

// Judge tells the health of s that a connect has succeeded, or failed with err. An
// error that is not the server's doing leaves it alone. observe is called when that
// changed the health or asks for a check.
func Judge(s *upstream.Server, now time.Time, err error, observe func(*upstream.Server, upstream.Verdict)) {
	var v upstream.Verdict
	switch {
	case err == nil:
		v = s.Connected(now)
	case !ownFault(err):
		v = s.ConnectFailed(now, Evidence(err))
	}
	if v != (upstream.Verdict{}) {
		observe(s, v)
	}
}

// ownFault reports whether a connect failed for want of something on this host, or
// because it stops: a node that runs out of descriptors must not declare its servers
// dead.
func ownFault(err error) bool {
	if errors.Is(err, net.ErrClosed) {
		return true
	}
	for _, errno := range []unix.Errno{unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.EADDRNOTAVAIL} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// Evidence shortens a connect's error to what is not known from the context.
func Evidence(err error) string {
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return "connect: no answer in time"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err.Error() // "connect: connection refused"
	}
	return "connect: " + err.Error()
}
