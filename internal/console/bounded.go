package console

import (
	"net"
	"net/netip"
	"sync"
)

const (
	maxConnections = 128
	maxPerAddress  = 32 // a browser opens six
)

// bounded is a listener that closes what is beyond its bounds at once: whoever holds
// connections open must not keep others out.
type bounded struct {
	net.Listener
	refused func(netip.Addr)

	mu   sync.Mutex
	all  int
	from map[netip.Prefix]int
}

func newBounded(l net.Listener, refused func(netip.Addr)) *bounded {
	return &bounded{Listener: l, refused: refused, from: make(map[netip.Prefix]int)}
}

// Accept implements net.Listener.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := remote(c.RemoteAddr().String())
		if b.enter(guesser(from)) {
			return &boundedConn{Conn: c, leave: sync.OnceFunc(func() { b.leave(guesser(from)) })}, nil
		}
		b.refused(from)
		c.Close()
	}
}

func (b *bounded) enter(who netip.Prefix) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all >= maxConnections || b.from[who] >= maxPerAddress {
		return false
	}
	b.all++
	b.from[who]++
	return true
}

func (b *bounded) leave(who netip.Prefix) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all--
	if b.from[who]--; b.from[who] == 0 {
		delete(b.from, who)
	}
}

// boundedConn gives its place back when it is closed.
type boundedConn struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}

// remote returns the address of ADDRESS:PORT; the zero Addr when it is none.
func remote(s string) netip.Addr {
	a, err := netip.ParseAddrPort(s)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}
