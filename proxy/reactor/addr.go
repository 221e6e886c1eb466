package reactor

import (
	"net"
	"net/netip"

	"github.com/tandemlb/tandem/proxy/reactor/socket"
)

// RemoteAddrPort returns the address of the peer; it is invalid for unix sockets.
// It stays after Close.
func (c *Conn) RemoteAddrPort() netip.AddrPort {
	return netip.AddrPortFrom(c.remote, c.port)
}

// LocalAddrPort asks the kernel for the local address. It is invalid for unix
// sockets, and after Close.
func (c *Conn) LocalAddrPort() netip.AddrPort {
	if c.flags&(closed|unixSocket) != 0 {
		return netip.AddrPort{}
	}
	return socket.LocalAddr(c.fd)
}

// RemoteAddr is RemoteAddrPort as a *net.TCPAddr or *net.UnixAddr.
func (c *Conn) RemoteAddr() net.Addr { return c.netAddr(c.RemoteAddrPort()) }

// LocalAddr is LocalAddrPort as a *net.TCPAddr or *net.UnixAddr.
func (c *Conn) LocalAddr() net.Addr { return c.netAddr(c.LocalAddrPort()) }

func (c *Conn) netAddr(a netip.AddrPort) net.Addr {
	if c.flags&unixSocket != 0 {
		return &net.UnixAddr{Net: "unix"}
	}
	return net.TCPAddrFromAddrPort(a)
}

func (c *Conn) network() string {
	if c.flags&unixSocket != 0 {
		return "unix"
	}
	return "tcp"
}
