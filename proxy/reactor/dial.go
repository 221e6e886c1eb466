package reactor

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy/reactor/socket"
)

// DialOptions say how to connect. The zero value has no deadline.
type DialOptions struct {
	// Deadline ends the attempt with os.ErrDeadlineExceeded.
	Deadline time.Time

	// Watch ends the attempt with ErrHangup when the peer of this connection
	// closes it; see [Conn.WatchHangup]. The watch goes on in the new connection.
	Watch *Conn
}

// Dial connects to a TCP address, and waits for the answer. The error is a
// *net.OpError. The connection has no deadlines.
func (l *Loop) Dial(addr netip.AddrPort, o DialOptions) (*Conn, error) {
	co := l.current("Dial")
	c, err := l.dialTCP(co, addr, o)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(addr), Err: err}
	}
	return c, nil
}

// DialUnix is Dial for the unix stream socket with that path.
func (l *Loop) DialUnix(path string, o DialOptions) (*Conn, error) {
	co := l.current("DialUnix")
	c, err := l.dialUnix(co, path, o)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "unix", Addr: &net.UnixAddr{Name: path, Net: "unix"}, Err: err}
	}
	return c, nil
}

func (l *Loop) dialTCP(co *coroutine, addr netip.AddrPort, o DialOptions) (*Conn, error) {
	if !addr.IsValid() || addr.Port() == 0 {
		return nil, errors.New("no address to connect to")
	}
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	family := unix.AF_INET6
	if addr.Addr().Is4() {
		family = unix.AF_INET
	}
	fd, err := l.socket(family)
	if err != nil {
		return nil, err
	}
	if errno := socket.SetNoDelay(fd, true); errno != 0 {
		socket.Close(fd)
		return nil, os.NewSyscallError("setsockopt TCP_NODELAY", errno)
	}
	c, err := l.connect(co, fd, addr, o, socket.Connect(fd, addr))
	if err != nil {
		return nil, err
	}
	// A port out of the range for clients, where nobody listens: the kernel may
	// have chosen that very port for us, and connected us to ourselves.
	if c.LocalAddrPort() == addr {
		_ = c.Abort() // open until here
		return nil, os.NewSyscallError("connect", syscall.ECONNREFUSED)
	}
	return c, nil
}

func (l *Loop) dialUnix(co *coroutine, path string, o DialOptions) (*Conn, error) {
	fd, err := l.socket(unix.AF_UNIX)
	if err != nil {
		return nil, err
	}
	errno := syscall.Errno(0)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		errno = err.(syscall.Errno) //nolint:errorlint // it has no other
	}
	return l.connect(co, fd, netip.AddrPort{}, o, errno)
}

func (l *Loop) socket(family int) (int, error) {
	if err := l.closedError(); err != nil {
		return -1, err
	}
	fd, errno := socket.Open(family, unix.SOCK_STREAM)
	if errno != 0 {
		return -1, os.NewSyscallError("socket", errno)
	}
	return fd, nil
}

// connect makes a connection of fd, which it owns and whose connect has begun so.
func (l *Loop) connect(co *coroutine, fd int, addr netip.AddrPort, o DialOptions, begun syscall.Errno) (*Conn, error) {
	if begun != 0 && begun != unix.EINPROGRESS {
		socket.Close(fd)
		return nil, os.NewSyscallError("connect", begun)
	}
	// Not before: epoll reports a socket that does not connect as hung up.
	c, err := l.register(fd, addr)
	if err != nil {
		return nil, err
	}
	l.open.Add(1)
	c.flags |= drained // else an event follows
	c.WatchHangup(o.Watch)
	if begun == 0 {
		return c, nil
	}
	c.writeBy = l.deadline(o.Deadline)
	if err := c.connected(co); err != nil {
		_ = c.Close() // it may be, by the end of the reactor
		return nil, err
	}
	c.writeBy = 0
	return c, nil
}

// connected waits until the connection is established.
func (c *Conn) connected(co *coroutine) error {
	if err := c.usable(c.writeBy); err != nil {
		return err
	}
	if err := c.waitWrite(co); err != nil {
		return err
	}
	if errno := socket.PendingError(c.fd); errno != 0 {
		return os.NewSyscallError("connect", errno)
	}
	return nil
}
