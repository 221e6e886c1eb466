package mmsg

import (
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy/reactor/socket"
)

// receiveBuffer is what the kernel is asked to hold for a socket on which many clients
// arrive; it gives what net.core.rmem_max allows.
const receiveBuffer = 4 << 20

// Socket is one that datagrams of many peers come to.
type Socket struct {
	FD       int32
	V4       bool // of IPv4 alone
	Anywhere bool // bound to every address: each message says to which one it came
	Segment  bool // the kernel takes messages apart
}

// Share returns a socket with a descriptor of its own for that of c, which does not
// wait from then on, whoever has it. Close must follow.
func Share(c syscall.Conn) (Socket, error) {
	fd, err := socket.Share(c)
	if err != nil {
		return Socket{}, err
	}
	s := Socket{FD: int32(fd)}
	if err := s.prepare(); err != nil {
		unix.Close(fd)
		return Socket{}, err
	}
	return s, nil
}

func (s *Socket) prepare() error {
	fd := int(s.FD)
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	s.V4 = domain == unix.AF_INET
	if bound := socket.LocalAddr(s.FD).Addr(); bound == netip.IPv4Unspecified() || bound == netip.IPv6Unspecified() {
		s.Anywhere = true
		level, option := unix.SOL_IPV6, unix.IPV6_RECVPKTINFO
		if s.V4 {
			level, option = unix.SOL_IP, unix.IP_PKTINFO
		}
		if err := unix.SetsockoptInt(fd, level, option, 1); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	// What a kernel does not have, it says; without it everything works, one by one.
	_, err = unix.GetsockoptInt(fd, unix.SOL_UDP, unix.UDP_SEGMENT)
	s.Segment = err == nil
	join(fd)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	return nil
}

// join asks for datagrams that belong together to be received as one, where the kernel
// can.
func join(fd int) { _ = socket.Set(fd, unix.SOL_UDP, unix.UDP_GRO, 1) }

// Close closes the descriptor.
func (s *Socket) Close() {
	unix.Close(int(s.FD))
	s.FD = -1
}

// Connect returns a socket that does not wait and exchanges datagrams with addr alone.
// The kernel drops those of everybody else, and tells when addr refuses.
func Connect(addr netip.AddrPort) (fd int32, err error) {
	family := unix.AF_INET6
	if addr.Addr().Is4() {
		family = unix.AF_INET
	}
	f, errno := socket.Open(family, unix.SOCK_DGRAM)
	if errno != 0 {
		return -1, os.NewSyscallError("socket", errno)
	}
	join(f)
	if errno := socket.Connect(f, addr); errno != 0 {
		socket.Close(f)
		return -1, os.NewSyscallError("connect", errno)
	}
	return int32(f), nil
}
