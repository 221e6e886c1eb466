package gate

import (
	"net"
	"net/netip"
	"sync"
)

// MaxPerCaller is how many connections one caller may have. A browser opens six.
const MaxPerCaller = 32

// maxConnections is how many there may be in all.
const maxConnections = 128

// bounded is a listener that closes what is beyond its bounds at once: whoever holds
// connections open must not keep others out.
type bounded struct {
	net.Listener
	refused func(netip.Addr)

	mu   sync.Mutex
	all  int
	from map[netip.Prefix]int
}

// Bound returns a listener that takes no more connections of l than it can bear; refused
// is told of each that is closed.
func Bound(l net.Listener, refused func(netip.Addr)) net.Listener {
	return &bounded{Listener: l, refused: refused, from: make(map[netip.Prefix]int)}
}

// Accept implements net.Listener.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := Remote(c.RemoteAddr().String())
		who := Caller(from)
		if b.enter(who) {
			return &boundedConn{Conn: c, leave: sync.OnceFunc(func() { b.leave(who) })}, nil
		}
		b.refused(from)
		c.Close()
	}
}

func (b *bounded) enter(who netip.Prefix) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all >= maxConnections || b.from[who] >= MaxPerCaller {
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

// Remote returns the address of ADDRESS:PORT; the zero Addr when it is none.
func Remote(s string) netip.Addr {
	a, err := netip.ParseAddrPort(s)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}

// Caller is who an address stands for: of IPv6, a host has a subnet to choose from.
func Caller(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
