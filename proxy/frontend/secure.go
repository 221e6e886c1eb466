package frontend

import (
	"crypto/tls"
	"errors"
	"hash/maphash"
	"io"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/ratelimit"
	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/reactor/tlsconn"
	"github.com/tandemlb/tandem/proxy/secure"
)

// Why connections of TLS end before they are served, beside what [secure.ReasonOf] says.
const (
	handshakeRate = "handshake_rate" // too many come at once
	handshakeLate = "tls_timeout"
	handshakeCut  = "tls_cut" // the client left in the middle
)

// security is how TLS is spoken with the connections that were accepted under it.
type security struct {
	terms   *secure.Terms
	timeout time.Duration // of a handshake; 0: none
	limit   proxy.RateLimit
	limiter *ratelimit.Limiter // of handshakes; nil: any number
}

// Secure sets on what terms TLS is spoken with the connections that come from now on;
// nil: it is not. l is the listener, with the bounds of handshakes.
func (f *Frontend) Secure(t *secure.Terms, l *proxy.Listener) {
	if t == nil {
		f.security.Store(nil)
		return
	}
	s := &security{terms: t, timeout: l.Timeouts.TLSHandshake}
	if n := l.Limits.Handshakes; n > 0 {
		s.limit = proxy.RateLimit{Requests: n, Per: time.Second, Burst: n}
		if old := f.security.Load(); old != nil && old.limiter != nil && old.limiter.Limit() == s.limit {
			s.limiter = old.limiter // with what has been used of it
		} else {
			s.limiter = ratelimit.New(s.limit, 1, maphash.MakeSeed(), time.Now())
		}
	}
	f.security.Store(s)
}

// begin returns the origin of a new connection, and sets how long it may take.
func (s *security) begin(c *reactor.Conn) *origin {
	o := &origin{security: s}
	if s.timeout > 0 {
		o.by = c.Loop().Now().Add(s.timeout)
		_ = c.SetReadDeadline(o.by) // it is open
	}
	return o
}

// shake does the handshake. When it fails, the connection is to be closed.
func (f *Frontend) shake(c *reactor.Conn, o *origin) bool {
	s := o.security
	if s.limiter != nil {
		if ok, _ := s.limiter.Allow(c.Loop().Now(), nil); !ok {
			f.refused.add(handshakeRate)
			return false
		}
	}
	_ = c.SetDeadline(o.by) // open, or the next read tells
	t := tlsconn.Server(c, s.terms.Config())
	if err := t.Handshake(); err != nil {
		f.handshakeFailed(c, err)
		return false
	}
	acknowledge(c)
	state := t.State()
	f.handshakes.add(state.Version, state.DidResume)
	o.tls, o.visitor = t, secure.VisitorOf(state)
	_ = c.SetDeadline(time.Time{})
	return true
}

// acknowledge has the kernel tell the client at once that its last words have arrived:
// they are answered by nothing, and a client that gathers small writes (Nagle's
// algorithm, TCP_NODELAY off) would keep its request until then, 40 ms.
func acknowledge(c *reactor.Conn) {
	_ = c.Control(func(fd int) error { // a unix socket needs it not
		return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
	})
}

func (f *Frontend) handshakeFailed(c *reactor.Conn, err error) {
	op, ofConn := errors.AsType[*net.OpError](err)
	switch {
	case c.Closed(): // we end
	case errors.Is(err, os.ErrDeadlineExceeded):
		f.refused.add(handshakeLate)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), ofConn && (op.Op == "read" || op.Op == "write"):
		f.refused.add(handshakeCut)
	default:
		f.refused.add(string(secure.ReasonOf(err)))
		if e, ok := errors.AsType[tls.RecordHeaderError](err); ok && saysHTTP(e.RecordHeader[:]) {
			explain(c)
		}
	}
}

// saysHTTP reports whether the first bytes of a connection are those of a request.
func saysHTTP(b []byte) bool {
	return slices.ContainsFunc([]string{"GET /", "HEAD ", "POST ", "PUT /", "DELET", "OPTIO", "PATCH", "TRACE", "CONNE"}, func(method string) bool {
		return string(b) == method
	})
}

const (
	wrongPort = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 44\r\nConnection: close\r\n\r\n" +
		"400 This port speaks TLS: use https:// here\n"
	explainFor = time.Second
)

// explain answers a request that came without TLS.
func explain(c *reactor.Conn) {
	by := c.Loop().Now().Add(explainFor)
	_ = c.SetDeadline(by) // open, or the write tells
	if _, err := c.Write([]byte(wrongPort)); err != nil || c.CloseWrite() != nil {
		return
	}
	var b [4096]byte
	for range 16 { // unread bytes would make a reset of the close
		if _, err := c.Read(b[:]); err != nil {
			return
		}
	}
}

// farewell is the last word to a client.
func farewell(c *reactor.Conn) {
	if o, ok := c.State.(*origin); ok && o.tls != nil {
		o.tls.Farewell()
	}
}

// VisitorOf returns who the client of a connection is by its certificate, which was
// verified; nil: nobody knows.
func VisitorOf(c *reactor.Conn) *secure.Visitor {
	if o, ok := c.State.(*origin); ok {
		return o.visitor
	}
	return nil
}

// handshakes counts those that were completed, by version.
type handshakes struct {
	tls12, tls13 struct{ full, resumed atomic.Uint64 }
}

func (h *handshakes) add(version uint16, resumed bool) {
	of := &h.tls12
	if version == tls.VersionTLS13 {
		of = &h.tls13
	}
	if resumed {
		of.resumed.Add(1)
	} else {
		of.full.Add(1)
	}
}

func (h *handshakes) all() proxy.TLSTraffic {
	return proxy.TLSTraffic{
		TLS12: proxy.Handshakes{Full: h.tls12.full.Load(), Resumed: h.tls12.resumed.Load()},
		TLS13: proxy.Handshakes{Full: h.tls13.full.Load(), Resumed: h.tls13.resumed.Load()},
	}
}
