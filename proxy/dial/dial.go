// Package dial connects to servers, and tells their health what came of that.
package dial

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/reactor/tlsconn"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// Way is how to get to a server.
type Way struct {
	Address netip.AddrPort
	// Deadline is when all of it is to be done; zero: there is none.
	Deadline time.Time
	// Watch ends the attempt, and later waits, when the peer of this connection closes
	// it: see [reactor.DialOptions].
	Watch *reactor.Conn

	TLS *tls.Config // nil: plain
	// Preface is sent before the handshake, in plain. Without TLS it is not sent.
	Preface []byte
}

// Open opens a connection, on a coroutine of l. It has no deadlines.
func Open(l *reactor.Loop, w Way) (tlsconn.Stream, error) {
	c, err := l.Dial(w.Address, reactor.DialOptions{Deadline: w.Deadline, Watch: w.Watch})
	if err != nil {
		return tlsconn.Stream{}, err
	}
	if w.TLS == nil {
		return tlsconn.Plain(c), nil
	}
	s, err := handshake(c, &w)
	if err != nil {
		_ = c.Close() // it may be, by the end of the reactor. No reset: an alert may be on its way
		return tlsconn.Stream{}, err
	}
	return s, nil
}

func handshake(c *reactor.Conn, w *Way) (tlsconn.Stream, error) {
	_ = c.SetDeadline(w.Deadline) // open, or the write tells
	if len(w.Preface) > 0 {
		if _, err := c.Write(w.Preface); err != nil {
			return tlsconn.Stream{}, err
		}
	}
	t := tlsconn.Client(c, w.TLS)
	if err := t.Handshake(); err != nil {
		return tlsconn.Stream{}, &HandshakeError{err}
	}
	_ = c.SetDeadline(time.Time{}) // open, or whoever uses it is told
	return t.Stream(), nil
}

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
