package frontend

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy/census"
	"github.com/tandemlb/tandem/proxy/proxyproto"
	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/reactor/socket"
	"github.com/tandemlb/tandem/proxy/reactor/tlsconn"
	"github.com/tandemlb/tandem/proxy/secure"
)

// headerTimeout is how long the header of the PROXY protocol may take from the accept:
// the proxy before us has it ready, and a lost segment is sent again in that time.
const headerTimeout = 3 * time.Second

// origin is the State of a connection that is more than its two addresses: it is
// counted by client, to be turned away, has a header of the PROXY protocol, or speaks
// TLS.
type origin struct {
	refused Limit // it is to be turned away

	security *security       // TLS is spoken by; nil: it is not
	by       time.Time       // when its handshake must be done; zero: any time
	tls      *tlsconn.Conn   // nil until then
	visitor  *secure.Visitor // by its certificate; nil: there is none

	counted bool // under key
	key     census.Client

	expected bool   // a header is, and is not complete
	head     []byte // what of it was taken from the connection

	client, local netip.AddrPort // as the header has it
}

// ClientOf returns the address of the client of a connection that a frontend accepted:
// the one that a trusted proxy has told, or else that of the peer. It is invalid for
// a unix socket. It stays when the connection is closed.
func ClientOf(c *reactor.Conn) netip.AddrPort {
	if o, ok := c.State.(*origin); ok && o.client.IsValid() {
		return o.client
	}
	return c.RemoteAddrPort()
}

// Local returns the address that the client has connected to: the one that a trusted
// proxy has told, or else that of our side of the connection.
func Local(c *reactor.Conn) netip.AddrPort {
	if o, ok := c.State.(*origin); ok && o.local.IsValid() {
		return o.local
	}
	return c.LocalAddrPort()
}

// PortOf returns the port that the client of a connection of b has connected to. It asks
// nobody: the kernel's answer for each connection of a bind is the same.
func (b *Bind) PortOf(c *reactor.Conn) uint16 {
	if o, ok := c.State.(*origin); ok && o.local.IsValid() {
		return o.local.Port()
	}
	return b.Port
}

// Expect sets the networks whose connections begin with a header of the PROXY
// protocol, for those that come from now on. In one from elsewhere it is not looked
// for, lest anybody says that he is somebody else.
func (f *Frontend) Expect(networks []netip.Prefix) {
	networks = slices.Clone(networks)
	f.expected.Store(&networks)
}

// expects reports whether connections from addr begin with a header.
func (f *Frontend) expects(addr netip.Addr) bool {
	networks := *f.expected.Load()
	if len(networks) == 0 {
		return false
	}
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(addr) })
}

// readHeader takes the header from a connection, and not a byte of what is behind it.
// When it is not complete, keep says whether to wait for more.
func (f *Frontend) readHeader(c *reactor.Conn, o *origin) (complete, keep bool) {
	for {
		// As long as the header is not complete, the next byte is of it: this one may
		// be taken, and the others are looked at first.
		at := len(o.head)
		o.head = slices.Grow(o.head, 256)
		n, err := c.TryRead(o.head[at : at+1])
		if err != nil {
			return false, errors.Is(err, reactor.ErrWouldBlock)
		}
		at += n
		seen := o.head[:at+peek(c, o.head[at:cap(o.head)])]
		h, size, err := proxyproto.Parse(seen)
		if err != nil {
			if malformed, ok := errors.AsType[*proxyproto.Error](err); ok {
				f.refuseHeader(o, string(malformed.Reason))
			}
			return false, false
		}
		if size > 0 {
			seen = seen[:size]
		}
		if !take(c, seen[at:]) {
			return false, false
		}
		o.head = seen
		if size > 0 {
			o.client, o.local = h.Source, h.Destination
			o.expected, o.head = false, nil
			return true, true
		}
	}
}

// peek looks at what is there to read.
func peek(c *reactor.Conn, b []byte) (n int) {
	_ = c.Control(func(fd int) error { // closed: nothing is there
		got, errno := socket.Recv(int32(fd), b, unix.MSG_PEEK)
		if errno == 0 {
			n = got
		}
		return nil
	})
	return n
}

// take reads what is known to be there.
func take(c *reactor.Conn, b []byte) bool {
	for len(b) > 0 {
		n, err := c.TryRead(b)
		if err != nil {
			return false
		}
		b = b[n:]
	}
	return true
}

// refuseHeader counts a connection that is closed for its header, once.
func (f *Frontend) refuseHeader(o *origin, reason string) {
	o.expected = false
	f.refused.add("proxy_header_" + reason)
}

// headerLost counts a connection that has ended before its header was complete. One
// that has not said a word is none: this is how a proxy asks whether we live.
func (f *Frontend) headerLost(o *origin, reason error) {
	switch {
	case errors.Is(reason, os.ErrDeadlineExceeded):
		f.refuseHeader(o, "timeout")
	case len(o.head) > 0 && (reason == nil || errors.Is(reason, io.EOF)):
		f.refuseHeader(o, "cut")
	}
}
