package reactor

import (
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls of the fast path are raw: on a non-blocking descriptor they end soon,
// and need not tell the scheduler about it. All retry when interrupted.

// recv returns n = 0 with every error.
func recv(fd int32, b []byte, flags int) (n int, errno syscall.Errno) {
	for {
		r, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), uintptr(flags), 0, 0)
		switch errno {
		case 0:
			return int(r), 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

func send(fd int32, b []byte) (n int, errno syscall.Errno) {
	for {
		r, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			return int(r), 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// sendBuffers sends up to maxBuffers of bufs without the first skip bytes of the
// first.
func sendBuffers(fd int32, bufs [][]byte, skip int) (n int, errno syscall.Errno) {
	var vectors [maxBuffers]unix.Iovec
	count := 0
	for _, b := range bufs {
		if b = b[skip:]; len(b) > 0 {
			vectors[count].Base = &b[0]
			vectors[count].SetLen(len(b))
			count++
		}
		if skip = 0; count == maxBuffers {
			break
		}
	}
	message := unix.Msghdr{Iov: &vectors[0]}
	message.SetIovlen(count)
	for {
		r, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&message)), unix.MSG_NOSIGNAL)
		switch errno {
		case 0:
			return int(r), 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// splice moves up to n bytes between a socket and a pipe.
func splice(from, to int32, n int) (moved int, errno syscall.Errno) {
	for {
		r, _, errno := unix.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n), unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
		switch errno {
		case 0:
			return int(r), 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// accept returns a non-blocking socket and the address of its peer, which is
// invalid unless it is an IP address.
func accept(fd int) (conn int, peer netip.AddrPort, errno syscall.Errno) {
	var sa unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	r, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, netip.AddrPort{}, errno
	}
	return int(r), addrPort(&sa), 0
}

// connect begins to connect fd to addr.
func connect(fd int, addr netip.AddrPort) syscall.Errno {
	if addr.Addr().Is4() {
		sa := unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: addr.Addr().As4()}
		putPort(&sa.Port, addr.Port())
		_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&sa)), unix.SizeofSockaddrInet4)
		return errno
	}
	sa := unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: addr.Addr().As16(), Scope_id: scope(addr.Addr().Zone())}
	putPort(&sa.Port, addr.Port())
	_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&sa)), unix.SizeofSockaddrInet6)
	return errno
}

// scope returns the index of the interface with that name or number, and 0 for
// none.
func scope(zone string) uint32 {
	if zone == "" {
		return 0
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	if i, err := net.InterfaceByName(zone); err == nil {
		return uint32(i.Index)
	}
	return 0
}

// localAddr returns the address of fd, which is invalid unless it is an IP
// address.
func localAddr(fd int32) netip.AddrPort {
	var sa unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	_, _, errno := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return netip.AddrPort{}
	}
	return addrPort(&sa)
}

// addrPort unmaps IPv4 addresses of a socket for both families. The zone of a
// link-local address is a number.
func addrPort(sa *unix.RawSockaddrAny) netip.AddrPort {
	switch sa.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), port(&in.Port))
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(sa))
		addr := netip.AddrFrom16(in.Addr).Unmap()
		if in.Scope_id != 0 {
			addr = addr.WithZone(strconv.FormatUint(uint64(in.Scope_id), 10))
		}
		return netip.AddrPortFrom(addr, port(&in.Port))
	}
	return netip.AddrPort{}
}

// Ports are in network byte order, whatever that of the host.

func port(raw *uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(raw))
	return uint16(b[0])<<8 | uint16(b[1])
}

func putPort(raw *uint16, port uint16) {
	b := (*[2]byte)(unsafe.Pointer(raw))
	b[0], b[1] = byte(port>>8), byte(port)
}
