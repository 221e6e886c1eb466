package reactor

import (
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy/reactor/socket"
)

// connEvents are watched for as long as a connection lives: edge-triggered, so
// that waiting costs no system call. EPOLLPRI because a read stops short at
// urgent data.
const connEvents = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLPRI | unix.EPOLLET&(1<<32-1)

type connFlags uint16

const (
	drained    connFlags = 1 << iota // nothing to read until the next event
	peerClosed                       // the peer sends no more (FIN)
	hungUp                           // closed in both directions, or reset
	urgent                           // a short read no more means that nothing is left
	unixSocket                       // else TCP
	closed
	parked // accepted, and its handler waits for bytes
	fresh  // its handler has never run
	atOnce // its handler runs for the first time without something to read
	queued // in the run queue
	told   // its end was reported to the listener
	hangup // a hangup of the watched connection is to be reported
)

// Conn is a connection of a loop, TCP or unix stream. It implements net.Conn.
//
// It belongs to its loop; see the rules of the package. One coroutine may read
// while another writes. Close may be called while both wait: they get
// net.ErrClosed.
//
// Errors: io.EOF, os.ErrDeadlineExceeded, net.ErrClosed and ErrHangup are
// returned as they are; all others are a *net.OpError that wraps the errno.
type Conn struct {
	// State is for the owner of the connection.
	State any

	loop  *Loop
	fd    int32
	slot  int32
	flags connFlags
	port  uint16 // of remote, where there is room for it

	reader, writer  *coroutine // who waits
	readBy, writeBy int64      // deadlines on the loop's clock; 0: none
	reads, writes   budget     // of the time that may be waited
	timer           timer      // the nearer of those that are waited for, or earlier

	watched  *Conn   // see WatchHangup
	watcher  watcher // a connection or a Waiter
	listener *Listener
	gone     func(*Conn, error) // see SetIdle
	remote   netip.Addr
}

// register makes a connection of fd, which it owns from then on, also when it
// fails.
func (l *Loop) register(fd int, remote netip.AddrPort) (*Conn, error) {
	c := &Conn{loop: l, fd: int32(fd), remote: remote.Addr(), port: remote.Port()}
	c.timer.Owner = c
	if !remote.IsValid() {
		c.flags |= unixSocket
	}
	key, generation := l.conns.Put(c)
	c.slot = key
	if err := l.kernel.Add(fd, connEvents, key, generation); err != nil {
		l.conns.Remove(key)
		socket.Close(fd)
		return nil, err
	}
	return c, nil
}

// Loop returns the loop of the connection.
func (c *Conn) Loop() *Loop { return c.loop }

// event notes what the kernel says. It runs no code of the connection.
func (c *Conn) event(events uint32) {
	if events&unix.EPOLLPRI != 0 {
		c.flags |= urgent
	}
	if events&unix.EPOLLRDHUP != 0 {
		c.flags |= peerClosed
	}
	if events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.flags |= hungUp
	}
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.flags &^= drained
		c.reader.wake()
		if c.flags&parked != 0 || c.gone != nil {
			c.enqueue()
		}
	}
	if events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.writer.wake()
	}
	if c.watcher != nil && c.ended() {
		c.watcher.hangUp()
	}
}

// ended reports whether the peer has ended its side, as far as events have told.
func (c *Conn) ended() bool { return c.flags&(peerClosed|hungUp) != 0 }

// usable returns why the connection cannot be used until by.
func (c *Conn) usable(by int64) error {
	switch {
	case c.flags&closed != 0:
		return net.ErrClosed
	case by != 0 && by <= c.loop.now:
		return os.ErrDeadlineExceeded
	}
	return nil
}

// Close closes the connection. Data that is written is still delivered.
func (c *Conn) Close() error {
	if c.flags&closed != 0 {
		return net.ErrClosed
	}
	c.flags |= closed
	c.loop.conns.Remove(c.slot)
	c.loop.timers.Remove(&c.timer)
	c.loop.open.Add(-1)
	socket.Close(int(c.fd)) // and out of epoll: no other descriptor has the socket
	c.fd = -1
	c.WatchHangup(nil)
	if c.watcher != nil {
		c.watcher.hangUp() // whoever closed it, there is nobody any more
	}
	c.reader.wake()
	c.writer.wake()
	c.gone = nil
	if c.listener != nil {
		c.listener.open.Add(-1)
	}
	if c.flags&parked != 0 {
		c.enqueue() // for the listener to be told
	}
	return nil
}

// Abort closes the connection with a reset: the peer cannot take it for a
// complete answer, and what is written but not sent is thrown away.
func (c *Conn) Abort() error {
	if c.flags&closed != 0 {
		return net.ErrClosed
	}
	// An error is that of a socket which is no more connected.
	_ = unix.SetsockoptLinger(int(c.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	return c.Close()
}

// terminate closes the connection because the reactor ends. In the middle of an
// exchange that is a reset: nobody must take what was sent for all of it.
func (c *Conn) terminate() {
	if c.flags&parked != 0 || c.gone != nil {
		_ = c.Close() // it is open
		return
	}
	_ = c.Abort() // it is open
}

// CloseWrite tells the peer that no more is sent. Reading goes on.
func (c *Conn) CloseWrite() error {
	if c.flags&closed != 0 {
		return net.ErrClosed
	}
	if errno := socket.Shutdown(c.fd); errno != 0 {
		return c.opError("shut down", errno)
	}
	return nil
}

// SetNoDelay sets whether small writes are sent at once (the default, also of
// accepted connections) or gathered (TCP_NODELAY off). It does nothing to unix
// sockets.
func (c *Conn) SetNoDelay(noDelay bool) error {
	if c.flags&closed != 0 {
		return net.ErrClosed
	}
	if c.flags&unixSocket != 0 {
		return nil
	}
	if errno := socket.SetNoDelay(int(c.fd), noDelay); errno != 0 {
		return c.opError("set TCP_NODELAY", errno)
	}
	return nil
}

// Control calls f with the descriptor, for socket options. f must neither keep
// nor close it, nor wait.
func (c *Conn) Control(f func(fd int) error) error {
	if c.flags&closed != 0 {
		return net.ErrClosed
	}
	return f(int(c.fd))
}

// PeerClosed reports whether the peer is known to send no more. What it has sent
// may still be there to read. It costs no system call.
func (c *Conn) PeerClosed() bool { return c.ended() }

// HungUp reports whether the connection is known to be closed in both directions,
// or reset. It costs no system call.
func (c *Conn) HungUp() bool { return c.flags&hungUp != 0 }

// Closed reports whether Close or Abort was called.
func (c *Conn) Closed() bool { return c.flags&closed != 0 }

// pending looks at the next byte without taking it: it returns whether there is
// one, and otherwise io.EOF, a reset and the like, or nil.
func (c *Conn) pending() (bool, error) {
	var b [1]byte
	n, errno := socket.Recv(c.fd, b[:], unix.MSG_PEEK)
	switch {
	case errno == 0 && n > 0:
		return true, nil
	case errno == 0:
		return false, io.EOF
	case errno == syscall.EAGAIN:
		c.flags |= drained
		return false, nil
	}
	return false, c.sysError("read", "recvfrom", errno)
}
