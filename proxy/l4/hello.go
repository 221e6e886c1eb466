package l4

import (
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy/clienthello"
)

// helloTimeout is how long a client of TLS may take to say what it wants, from when it
// is served: it has that ready.
const helloTimeout = 5 * time.Second

// readHello reads until the client has named a server; without a name there is none. What
// it has read is in hello.
func (a *attempt) readHello() (name []byte, why cause) {
	if err := a.client.SetReadDeadline(a.loop.Now().Add(helloTimeout)); err != nil {
		return nil, shutDown
	}
	for {
		a.hello = slices.Grow(a.hello, 2<<10)
		at := len(a.hello)
		n, err := a.client.Read(a.hello[at:cap(a.hello)])
		if err != nil {
			return nil, a.unheard(err)
		}
		a.hello = a.hello[:at+n]
		h, complete, err := clienthello.Parse(a.hello)
		if err != nil {
			if bad, ok := errors.AsType[*clienthello.Error](err); ok {
				return nil, badHello(bad.Reason)
			}
			return nil, badHello(clienthello.Malformed)
		}
		if complete {
			return []byte(h.ServerName), none
		}
	}
}

// unheard says what it means that a hello ends with err.
func (a *attempt) unheard(err error) cause {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return helloLate
	case a.client.Closed():
		return shutDown
	case len(a.hello) > 0 && errors.Is(err, io.EOF):
		return helloCut
	default: // a look whether somebody listens
		return clientGone
	}
}

// hasSaid reports whether the client has said something that nobody has read yet.
func (a *attempt) hasSaid() (something bool) {
	if t := a.client.TLS(); t != nil && t.TryPeek() == nil {
		return true
	}
	_ = a.client.Control(func(fd int) error { // closed: then not
		n, err := unix.IoctlGetInt(fd, unix.TIOCINQ) // SIOCINQ: bytes to read
		something = n > 0
		return err
	})
	return something
}
