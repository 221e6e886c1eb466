// Package dial tells a server's health what came of a connect.
package dial

import (
	"errors"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy/upstream"
)

// Judge tells the health of s that a connect has succeeded, or failed with err. An
// error that is not the server's doing leaves it alone. observe is called when that
// changed the health or asks for a check.
func Judge(s *upstream.Server, now time.Time, err error, observe func(*upstream.Server, upstream.Verdict)) {
	var v upstream.Verdict
	switch {
	case err == nil:
		v = s.Connected(now)
	case Blames(err):
		v = s.ConnectFailed(now, Evidence(err))
	}
	if v != (upstream.Verdict{}) {
		observe(s, v)
	}
}

// Blames reports whether a connect that failed with err speaks against the server, and
// did not fail for want of something on this host, or because it stops: a node that runs
// out of descriptors must not declare its servers dead.
func Blames(err error) bool {
	if errors.Is(err, net.ErrClosed) {
		return false
	}
	for _, errno := range []unix.Errno{unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.EADDRNOTAVAIL} {
		if errors.Is(err, errno) {
			return false
		}
	}
	return true
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
