package reactor

import (
	"errors"
	"net"
	"os"
	"syscall"
)

var (
	// ErrHangup ends a wait in a connection whose watched connection was closed
	// by its peer; see [Conn.WatchHangup].
	ErrHangup = errors.New("the watched connection was closed by its peer")

	// ErrPanicked says that the code of a connection or task panicked, or ended
	// its goroutine. The panic itself went to [Options].Panicked.
	ErrPanicked = errors.New("the code of the connection panicked")

	// ErrUnexpected says that bytes arrived on a connection that expected none;
	// see [Conn.SetIdle].
	ErrUnexpected = errors.New("unexpected bytes on an idle connection")

	// ErrWouldBlock is what [Conn.TryRead] returns instead of waiting. It is
	// temporary and no timeout: crypto/tls stays usable after it.
	ErrWouldBlock net.Error = wouldBlock{}
)

type wouldBlock struct{}

func (wouldBlock) Error() string   { return "nothing to read yet" }
func (wouldBlock) Timeout() bool   { return false }
func (wouldBlock) Temporary() bool { return true }

// opError says which operation on which connection failed.
func (c *Conn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: c.network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

func (c *Conn) sysError(op, call string, errno syscall.Errno) error {
	return c.opError(op, os.NewSyscallError(call, errno))
}
