package tunnel

import (
	"bytes"
	"io"
	"net"

	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/reactor/tlsconn"
)

// ScratchSize is a good size for Scratch: messages fit, and what fills it twice in a
// row is no message.
const ScratchSize = 16 << 10

// move moves what src says to dst, until its end. An error of either is a *net.OpError.
//
// What is short goes through memory, which costs less than a pipe does; what comes in
// bulk is not copied, unless it is to be encrypted or decrypted.
func (t *Tunnel) move(dst, src tlsconn.Stream) error {
	plain := dst.Plain() && src.Plain()
	if !plain && len(t.Scratch) == 0 {
		t.Scratch = make([]byte, ScratchSize)
	}
	for full := 0; len(t.Scratch) > 0 && (full < 2 || !plain); {
		if err := src.WaitReadable(); err != nil {
			return &net.OpError{Op: "read", Net: "tcp", Err: err}
		}
		n, err := t.pass(dst, src)
		switch {
		case err == io.EOF: //nolint:errorlint // never wrapped
			return nil
		case err != nil:
			return err
		case n == len(t.Scratch):
			full++
		default:
			full = 0
		}
	}
	for {
		n, err := src.Loop().Splice(dst.Conn, src.Conn, countEvery)
		t.count(dst, n)
		if err == io.ErrUnexpectedEOF { //nolint:errorlint // never wrapped
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// countEvery is how many bytes move through pipes before they are counted.
const countEvery = 1 << 20

// count counts n bytes that have gone to dst.
func (t *Tunnel) count(dst tlsconn.Stream, n int64) {
	to := t.In
	if dst == t.Client {
		to = t.Out
	}
	if to != nil && n > 0 {
		to.Add(uint64(n))
	}
}

// pass passes on what one read from src gives, which may be nothing. The scratch is
// anybody's on the loop, and so is not held while dst is waited for.
func (t *Tunnel) pass(dst, src tlsconn.Stream) (n int, err error) {
	n, err = src.TryRead(t.Scratch)
	if err == reactor.ErrWouldBlock { //nolint:errorlint // never wrapped
		return 0, nil
	}
	if !t.heard && src == t.Server && !src.Plain() {
		t.hear(err)
	}
	if err == io.EOF { //nolint:errorlint // never wrapped
		return 0, err
	}
	if err != nil {
		return 0, &net.OpError{Op: "read", Net: "tcp", Err: err}
	}
	written, err := dst.TryWrite(t.Scratch[:n])
	if err == reactor.ErrWouldBlock { //nolint:errorlint // never wrapped
		err = nil
	}
	if err == nil && written < n {
		_, err = dst.Write(bytes.Clone(t.Scratch[written:n]))
	}
	if err != nil {
		return n, &net.OpError{Op: "write", Net: "tcp", Err: err}
	}
	t.count(dst, int64(n))
	return n, nil
}

// hear notes what comes first of a server over TLS.
func (t *Tunnel) hear(err error) {
	t.heard = true
	switch err { //nolint:errorlint // never wrapped
	case io.EOF, io.ErrUnexpectedEOF, net.ErrClosed:
		err = nil
	}
	t.refused = err != nil
	if t.Heard != nil {
		t.Heard(err)
	}
}
