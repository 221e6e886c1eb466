package tlsconn

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tandemlb/tandem/proxy/reactor"
)

// transport is what crypto/tls sees: writing never waits.
type transport struct {
	*reactor.Conn
	try   bool // reading does not wait either
	ended bool // the peer has closed the connection
	got   records

	queue  []byte // what is to be sent; a buffer of the loop, or nil
	hold   bool   // more will be written at once
	writer bool   // who writes will wait for the queue to be sent
	sender bool   // somebody sends it
	task   *reactor.Task
	err    error // of sending it
}

func (t *transport) Read(b []byte) (n int, err error) {
	if t.try {
		n, err = t.TryRead(b)
	} else {
		n, err = t.Conn.Read(b)
	}
	t.got.take(b[:n])
	t.ended = t.ended || err == io.EOF //nolint:errorlint // never wrapped
	return n, err
}

// SetWriteDeadline does nothing: crypto/tls bounds by it the farewell, which does not wait,
// and what is queued before that would be lost with it.
func (t *transport) SetWriteDeadline(time.Time) error { return nil }

// busy reports whether something is yet to be sent.
func (t *transport) busy() bool { return t.sender || t.queue != nil }

func (t *transport) Write(b []byte) (n int, err error) {
	if t.err != nil {
		return 0, t.err
	}
	if !t.hold && !t.busy() {
		n, err = t.TryWrite(b)
		if err != nil && !errors.Is(err, reactor.ErrWouldBlock) || n == len(b) {
			return n, err
		}
	}
	if len(t.queue)+len(b)-n > maxQueue {
		return n, fmt.Errorf("the peer takes none of %d bytes, and causes more", len(t.queue))
	}
	if t.queue == nil {
		t.queue = t.Loop().Borrow()[:0]
	}
	t.queue = append(t.queue, b[n:]...)
	if !t.writer && !t.sender {
		t.sender = true
		t.task = t.Loop().Go(t.send)
	}
	return len(b), nil
}

// send sends the queue, and what is added to it meanwhile.
func (t *transport) send() {
	for t.queue != nil && t.err == nil {
		b := t.queue
		t.queue = nil
		_, t.err = t.Conn.Write(b)
		t.Loop().GiveBack(b)
	}
	if t.queue != nil {
		t.Loop().GiveBack(t.queue) // what came while the last of it failed
	}
	t.queue, t.sender, t.task = nil, false, nil
}

// wait waits until the queue is sent.
func (t *transport) wait() error {
	for t.task != nil {
		if err := t.task.Wait(); err != nil {
			return err
		}
	}
	if t.queue != nil {
		t.sender = true
		t.send()
	}
	return t.err
}
