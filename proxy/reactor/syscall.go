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
// and need not tell the scheduler. None fails with EINTR: what does not sleep is
// not interrupted, and Go's signal handlers restart the rest.

// recv returns n = 0 with every error.
func recv(fd int32, b []byte, flags int) (n int, errno syscall.Errno) {
	r, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), uintptr(flags), 0, 0)
	return count(r, errno)
}

func send(fd int32, b []byte) (n int, errno syscall.Errno) {
	r, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
	return count(r, errno)
}

// sendBuffers sends up to maxBuffers of bufs without the first skip bytes of the
// first.
func sendBuffers(fd int32, bufs [][]byte, skip int) (n int, errno syscall.Errno) {
	if len(bufs) == 1 {
		return send(fd, bufs[0][skip:])
	}
	var vectors [maxBuffers]unix.Iovec
	used := 0
	for _, b := range bufs {
		if b = b[skip:]; len(b) > 0 {
			vectors[used].Base = &b[0]
			vectors[used].SetLen(len(b))
			used++
		}
		if skip = 0; used == maxBuffers {
			break
		}
	}
	message := unix.Msghdr{Iov: &vectors[0]}
	message.SetIovlen(used)
	r, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&message)), unix.MSG_NOSIGNAL)
	return count(r, errno)
}

// splice moves up to n bytes between a socket and a pipe.
func splice(from, to int32, n int) (moved int, errno syscall.Errno) {
	r, _, errno := unix.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n), unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
	return count(r, errno)
}

func count(r uintptr, errno syscall.Errno) (int, syscall.Errno) {
	if errno != 0 {
		return 0, errno
	}
	return int(r), 0
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

// sockaddr returns addr for the calls of package unix.
func sockaddr(addr netip.AddrPort) unix.Sockaddr {
	if addr.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16(), ZoneId: scope(addr.Addr().Zone())}
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

// port converts a port from network byte order, whatever that of the host.
func port(raw *uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(raw))
	return uint16(b[0])<<8 | uint16(b[1])
}
