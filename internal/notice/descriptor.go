package notice

import (
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// When a process dies, Linux closes its files one after the other, beginning with
// the highest descriptor, and some take long: a packet socket waits for every
// processor to have looked away from it, ten milliseconds and more. A session
// that comes after them tells of the death that much later. So each has a second
// descriptor, above all that are given out in order, and the listener one above
// those of the sessions: when a session ends, callers are refused already.
const (
	sessionDescriptor  = 512
	listenerDescriptor = 768
)

// earlyConn is a connection that ends early in the death of its process.
type earlyConn struct {
	net.Conn
	second second
}

// early returns conn with a second descriptor. Without one, because of a limit
// say, it is slower, and as good otherwise.
func early(conn net.Conn) net.Conn {
	return &earlyConn{Conn: conn, second: duplicate(conn, sessionDescriptor)}
}

// Close closes both descriptors: the connection ends with the last.
func (c *earlyConn) Close() error {
	c.second.close()
	return c.Conn.Close()
}

// earlyListener is a listener that ends early in the death of its process.
type earlyListener struct {
	net.Listener
	second second
}

func earlyListen(ln net.Listener) net.Listener {
	return &earlyListener{Listener: ln, second: duplicate(ln, listenerDescriptor)}
}

// Close closes both descriptors: callers are refused with the last.
func (l *earlyListener) Close() error {
	l.second.close()
	return l.Listener.Close()
}

// second is a duplicate of a descriptor.
type second struct{ close func() }

// duplicate duplicates the descriptor of s, if it has one, at or above lowest.
func duplicate(s any, lowest int) second {
	none := second{close: func() {}}
	sc, ok := s.(syscall.Conn)
	if !ok {
		return none
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return none
	}
	fd := -1
	cerr := raw.Control(func(first uintptr) { fd, err = unix.FcntlInt(first, unix.F_DUPFD_CLOEXEC, lowest) })
	if cerr != nil || err != nil {
		return none
	}
	return second{close: sync.OnceFunc(func() { unix.Close(fd) })}
}
