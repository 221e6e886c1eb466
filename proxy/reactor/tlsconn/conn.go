// Package tlsconn runs crypto/tls on the connections of a reactor.
//
// crypto/tls holds a lock while it writes, and takes the same lock when it reads
// what must be answered: a key update, or a record that is worth an alert. Were
// the write to wait for a client that does not read, that client could stop the
// whole loop with one record, because the lock blocks the goroutine that all of
// it runs on. So nothing waits under that lock: what a socket does not take is
// queued, and the writer waits after it has released the lock.
//
// TLS of listeners and to servers is to be built on it; crypto/tls must not be run
// on a reactor.Conn directly.
package tlsconn

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/tandemlb/tandem/proxy/reactor"
)

const (
	// chunk is how much is encrypted before the writer waits for the socket: four
	// records, and the most that is queued for one writer.
	chunk = 64 << 10

	// maxQueue bounds what is queued beyond that: answers to a peer that asks for
	// many, and takes none.
	maxQueue = 4 * chunk
)

// Conn is a TLS connection. One coroutine may read while another writes, as soon
// as the handshake is done. Like the reactor.Conn below, it belongs to a loop.
type Conn struct {
	tls *tls.Conn
	raw *transport
}

// Server returns the server's side of a TLS connection over c. The functions in
// config run on the loop and must not block.
func Server(c *reactor.Conn, config *tls.Config) *Conn {
	t := &transport{Conn: c}
	return &Conn{tls.Server(t, config), t}
}

// Client returns the client's side of a TLS connection over c.
func Client(c *reactor.Conn, config *tls.Config) *Conn {
	t := &transport{Conn: c}
	return &Conn{tls.Client(t, config), t}
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
func (c *Conn) Read(b []byte) (int, error) { return c.tls.Read(b) }

// TryRead is Read that returns reactor.ErrWouldBlock instead of waiting. After
// that, nothing is left in the connection and it may be parked.
func (c *Conn) TryRead(b []byte) (int, error) {
	c.raw.try = true
	n, err := c.tls.Read(b)
	c.raw.try = false
	return n, err
}

// Write writes all of b, or fails. It waits while the peer does not take it.
func (c *Conn) Write(b []byte) (written int, err error) {
	for len(b) > 0 {
		n, err := c.tls.Write(b[:min(len(b), chunk)])
		written += n
		if err != nil {
			return written, err
		}
		if err := c.raw.wait(); err != nil {
			return written, err
		}
		b = b[n:]
	}
	return written, nil
}

// CloseWrite tells the peer that no more is sent. Reading goes on.
func (c *Conn) CloseWrite() error {
	if err := c.tls.CloseWrite(); err != nil {
		return err
	}
	return c.raw.wait()
}

// Close tells the peer that no more is sent, as far as its socket takes that, and
// closes the connection.
func (c *Conn) Close() error { return c.tls.Close() }

// transport is what crypto/tls sees: writing never waits.
type transport struct {
	*reactor.Conn
	try      bool // reading does not wait either
	queue    []byte
	flushing *reactor.Task // sends the queue
	err      error         // of sending it
}

func (t *transport) Read(b []byte) (int, error) {
	if t.try {
		return t.TryRead(b)
	}
	return t.Conn.Read(b)
}

func (t *transport) Write(b []byte) (n int, err error) {
	if t.err != nil {
		return 0, t.err
	}
	if t.flushing == nil {
		n, err = t.TryWrite(b)
		if err != nil && !errors.Is(err, reactor.ErrWouldBlock) || n == len(b) {
			return n, err
		}
		t.flushing = t.Loop().Go(t.flush)
	}
	if len(t.queue)+len(b)-n > maxQueue {
		return n, fmt.Errorf("the peer takes none of %d bytes, and causes more", len(t.queue))
	}
	t.queue = append(t.queue, b[n:]...)
	return len(b), nil
}

// flush sends the queue, and what is added to it meanwhile.
func (t *transport) flush() {
	for len(t.queue) > 0 && t.err == nil {
		b := t.queue
		t.queue = nil
		_, t.err = t.Conn.Write(b)
	}
	t.queue, t.flushing = nil, nil
}

// wait waits until the queue is sent.
func (t *transport) wait() error {
	for t.flushing != nil {
		if err := t.flushing.Wait(); err != nil {
			return err
		}
	}
	return t.err
}
