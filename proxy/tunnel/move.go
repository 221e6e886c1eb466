package tunnel

import (
	"bytes"
	"io"
	"net"

	"github.com/tandemlb/tandem/proxy/reactor"
)

// ScratchSize is a good size for Scratch: messages fit, and what fills it twice in a
// row is no message.
const ScratchSize = 16 << 10

// move moves what src says to dst, until its end. An error of either is a *net.OpError.
//
// What is short goes through memory, which costs less than a pipe does; what comes in
// bulk is not copied.
func (t *Tunnel) move(dst, src *reactor.Conn) error {
	for full := 0; len(t.Scratch) > 0 && full < 2; {
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
	_, err := src.Loop().Splice(dst, src, -1)
	return err
}

// pass passes on what one read from src gives, which may be nothing. The scratch is
// anybody's on the loop, and so is not held while dst is waited for.
func (t *Tunnel) pass(dst, src *reactor.Conn) (n int, err error) {
	n, err = src.TryRead(t.Scratch)
	if err == reactor.ErrWouldBlock { //nolint:errorlint // never wrapped
		return 0, nil
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
	return n, nil
}
