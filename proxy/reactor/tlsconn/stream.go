package tlsconn

import (
	"github.com/tandemlb/tandem/proxy/reactor"
)

// Stream is a connection as those see it who do not care whether TLS is spoken on it.
// Deadlines, budgets, watches and addresses are those of the connection below. The
// zero value is none.
//
// It is a small value, to be copied. The methods that may wait do so as those of
// reactor.Conn do, and return its errors.
type Stream struct {
	*reactor.Conn
	tls *Conn // nil: plain
}

// Plain returns a stream of c without TLS.
func Plain(c *reactor.Conn) Stream { return Stream{Conn: c} }

// Stream returns c as a stream.
func (c *Conn) Stream() Stream { return Stream{Conn: c.Raw(), tls: c} }

// TLS returns the TLS connection; nil: there is none.
func (s Stream) TLS() *Conn { return s.tls }

// Plain reports whether no TLS is spoken: the bytes may be spliced.
func (s Stream) Plain() bool { return s.tls == nil }

// Read waits until there is something to read and takes it. Over TLS io.EOF is an end
// that the peer has announced, and io.ErrUnexpectedEOF one that anybody on the way may
// have caused.
func (s Stream) Read(b []byte) (int, error) {
	if s.tls != nil {
		return s.tls.Read(b)
	}
	return s.Conn.Read(b)
}

// TryRead is Read that returns reactor.ErrWouldBlock instead of waiting.
func (s Stream) TryRead(b []byte) (int, error) {
	if s.tls != nil {
		return s.tls.TryRead(b)
	}
	return s.Conn.TryRead(b)
}

// WaitReadable waits until there may be something to read, without a buffer to read it
// into. Read may wait all the same.
func (s Stream) WaitReadable() error {
	if s.tls != nil {
		return s.tls.WaitReadable()
	}
	return s.Conn.WaitReadable()
}

// Write writes all of b, or fails. It waits while the peer does not take it.
func (s Stream) Write(b []byte) (int, error) {
	if s.tls != nil {
		return s.tls.Write(b)
	}
	return s.Conn.Write(b)
}

// WriteBuffers writes all of bufs in order. It keeps and changes none of them.
func (s Stream) WriteBuffers(bufs ...[]byte) (int64, error) {
	if s.tls != nil {
		return s.tls.writeBuffers(bufs)
	}
	return s.Conn.WriteBuffers(bufs...)
}

// TryWrite writes what is taken without waiting, and returns reactor.ErrWouldBlock
// when that is nothing.
func (s Stream) TryWrite(b []byte) (int, error) {
	if s.tls != nil {
		return s.tls.TryWrite(b)
	}
	return s.Conn.TryWrite(b)
}

// CloseWrite tells the peer that no more is sent. Reading goes on.
func (s Stream) CloseWrite() error {
	if s.tls != nil {
		return s.tls.CloseWrite()
	}
	return s.Conn.CloseWrite()
}

// Close tells the peer that no more is sent, as far as that can be done without
// waiting, and closes the connection.
func (s Stream) Close() error {
	if s.tls != nil {
		return s.tls.Close()
	}
	return s.Conn.Close()
}
