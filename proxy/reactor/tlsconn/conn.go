// Package tlsconn runs crypto/tls on the connections of a reactor.
//
// crypto/tls holds a lock while it writes, and takes the same lock when it reads
// what must be answered: a key update, or a record that is worth an alert. Were
// the write to wait for a client that does not read, that client could stop the
// whole loop with one record, because the lock blocks the goroutine that all of
// it runs on. So nothing waits under that lock: what a socket does not take is
// queued, and the writer waits after it has released the lock.
//
// crypto/tls must not be run on a reactor.Conn directly.
package tlsconn

import (
	"crypto/tls"
	"fmt"
	"io"

	"github.com/tandemlb/tandem/proxy/reactor"
)

const (
	// record is the most that one record of TLS holds.
	record = 16 << 10

	// chunk is how much is encrypted before the writer waits for the socket: what with
	// all that encryption adds fits a buffer of the loop.
	chunk = reactor.BufferSize - 512

	// maxQueue bounds what is queued beyond that: answers to a peer that asks for
	// many, and takes none.
	maxQueue = 4 * reactor.BufferSize
)

// Conn is a TLS connection. One coroutine may read while another writes, as soon
// as the handshake is done. Like the reactor.Conn below, it belongs to a loop.
type Conn struct {
	tls *tls.Conn
	raw transport

	peek   [1]byte // taken from tls, when
	peeked bool
}

// Server returns the server's side of a TLS connection over c. The functions in
// config run on the loop and must not block.
func Server(c *reactor.Conn, config *tls.Config) *Conn {
	s := &Conn{raw: transport{Conn: c}}
	s.tls = tls.Server(&s.raw, config)
	return s
}

// Client returns the client's side of a TLS connection over c.
func Client(c *reactor.Conn, config *tls.Config) *Conn {
	s := &Conn{raw: transport{Conn: c}}
	s.tls = tls.Client(&s.raw, config)
	return s
}

// Raw returns the connection below, for deadlines, addresses and watches. It must
// not be read or written.
func (c *Conn) Raw() *reactor.Conn { return c.raw.Conn }

// State returns what was negotiated.
func (c *Conn) State() tls.ConnectionState { return c.tls.ConnectionState() }

// Handshake runs the handshake, and waits for the peer. It is called before
// anything else.
func (c *Conn) Handshake() error {
	if err := c.tls.Handshake(); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	return c.raw.wait()
}

// Read waits for bytes. io.EOF is a proper end; io.ErrUnexpectedEOF is one that
// anybody on the way may have caused.
func (c *Conn) Read(b []byte) (int, error) {
	c.raw.Loop().Turn()
	for {
		n, err := c.TryRead(b)
		if err != reactor.ErrWouldBlock { //nolint:errorlint // never wrapped, and met with each wait
			return n, err
		}
		if err := c.raw.Conn.WaitReadable(); err != nil {
			return 0, err
		}
	}
}

// TryRead is Read that returns reactor.ErrWouldBlock instead of waiting. After
// that, nothing is left in the connection and it may be parked.
func (c *Conn) TryRead(b []byte) (n int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	if c.peeked {
		b[0], c.peeked = c.peek[0], false
		n = 1
		if len(b) == 1 {
			return 1, nil
		}
	}
	k, err := c.read(b[n:])
	if n > 0 {
		return n + k, nil // an error comes again
	}
	return k, err
}

func (c *Conn) read(b []byte) (int, error) {
	if c.raw.got.none() {
		if _, err := c.raw.TryRead(nil); err != nil {
			return 0, err
		}
	}
	c.raw.try = true
	n, err := c.tls.Read(b)
	c.raw.try = false
	switch {
	case err == reactor.ErrWouldBlock: //nolint:errorlint // never wrapped
		c.raw.got.starved()
	case n > 0 && n < len(b):
		c.raw.got.read()
	}
	if n > 0 {
		return n, nil // an error comes again: it was about to look for the end
	}
	if err == io.EOF && c.raw.ended { //nolint:errorlint // never wrapped
		// Where crypto/tls is lenient, between two records.
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// TryPeek reports whether there is something to read, without taking it: nil is a
// byte, reactor.ErrWouldBlock none. Messages of TLS itself are none. It does not wait.
func (c *Conn) TryPeek() error {
	if c.peeked {
		return nil
	}
	n, err := c.read(c.peek[:])
	c.peeked = n > 0
	if c.peeked {
		return nil
	}
	return err
}

// WaitReadable waits until there is something to read, if only an end or an error.
func (c *Conn) WaitReadable() error {
	c.raw.Loop().Turn()
	for {
		if err := c.TryPeek(); err != reactor.ErrWouldBlock { //nolint:errorlint // never wrapped
			return nil // what it is, a read tells
		}
		if err := c.raw.Conn.WaitReadable(); err != nil {
			return err
		}
	}
}

// Write writes all of b, or fails. It waits while the peer does not take it.
func (c *Conn) Write(b []byte) (written int, err error) {
	for len(b) > 0 {
		c.raw.Loop().Turn()
		n, err := c.write(b[:min(len(b), chunk)])
		written += n
		if err != nil {
			return written, err
		}
		b = b[n:]
	}
	return written, nil
}

// write writes at most a chunk. What of it is several records goes to the socket at
// once.
func (c *Conn) write(b []byte) (int, error) {
	n, err := c.encrypt(b)
	if err != nil {
		return n, err
	}
	return n, c.raw.wait()
}

// encrypt is write, except that it does not wait for what the socket does not take.
func (c *Conn) encrypt(b []byte) (int, error) {
	c.raw.writer, c.raw.hold = true, len(b) > record
	n, err := c.tls.Write(b)
	c.raw.writer, c.raw.hold = false, false
	return n, err
}

// writeBuffers writes all of bufs in order. The first ones share a record.
func (c *Conn) writeBuffers(bufs [][]byte) (written int64, err error) {
	for len(bufs) > 0 && len(bufs[0]) == 0 {
		bufs = bufs[1:]
	}
	if len(bufs) == 0 {
		return 0, nil
	}
	if len(bufs) == 1 || len(bufs[0]) >= record {
		return c.writeEach(bufs, 0)
	}
	loop := c.raw.Loop()
	b := loop.Borrow()
	n, skip := 0, 0 // of the first buffer
	for len(bufs) > 0 {
		k := copy(b[n:record], bufs[0])
		n += k
		if k < len(bufs[0]) {
			skip = k
			break
		}
		bufs = bufs[1:]
	}
	n, err = c.encrypt(b[:n])
	loop.GiveBack(b) // before it waits
	if err == nil {
		err = c.raw.wait()
	}
	if err != nil {
		return int64(n), err
	}
	written, err = c.writeEach(bufs, skip)
	return int64(n) + written, err
}

// writeEach writes bufs one after the other, without the first skip bytes.
func (c *Conn) writeEach(bufs [][]byte, skip int) (written int64, err error) {
	for _, b := range bufs {
		n, err := c.Write(b[skip:])
		skip = 0
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// TryWrite takes some of b without waiting, and returns reactor.ErrWouldBlock while the
// peer has yet to take what was written before.
func (c *Conn) TryWrite(b []byte) (int, error) {
	if c.raw.busy() {
		return 0, reactor.ErrWouldBlock
	}
	return c.tls.Write(b[:min(len(b), chunk)])
}

// CloseWrite tells the peer that no more is sent. Reading goes on.
func (c *Conn) CloseWrite() error {
	c.raw.writer = true
	err := c.tls.CloseWrite()
	c.raw.writer = false
	if err != nil {
		return err
	}
	if err := c.raw.wait(); err != nil {
		return err
	}
	return c.raw.Conn.CloseWrite()
}

// Farewell tells the peer that no more is sent, as far as that can be done without
// waiting. Nothing is to be written after it.
func (c *Conn) Farewell() {
	if !c.raw.busy() {
		_ = c.tls.CloseWrite() // or the peer is gone, or there never was a handshake
	}
}

// Close says farewell, and closes the connection.
func (c *Conn) Close() error {
	c.Farewell()
	return c.raw.Close()
}
