package socket

import (
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Open returns a non-blocking socket of the address family, of SOCK_STREAM or
// SOCK_DGRAM.
func Open(family, kind int) (fd int, errno syscall.Errno) {
	r, _, errno := unix.RawSyscall(unix.SYS_SOCKET, uintptr(family), uintptr(kind)|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(r), 0
}

// Close closes a socket. There is nothing to be done about an error.
func Close(fd int) { _, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// Connect begins to connect fd, a socket of TCP, to addr, or connects one of UDP.
func Connect(fd int, addr netip.AddrPort) syscall.Errno {
	if a := addr.Addr(); a.Is4() {
		sa := unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: a.As4()}
		putPort(&sa.Port, addr.Port())
		return connect(fd, unsafe.Pointer(&sa), unix.SizeofSockaddrInet4)
	}
	sa := unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: addr.Addr().As16(), Scope_id: scope(addr.Addr().Zone())}
	putPort(&sa.Port, addr.Port())
	return connect(fd, unsafe.Pointer(&sa), unix.SizeofSockaddrInet6)
}

func connect(fd int, sa unsafe.Pointer, size uintptr) syscall.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(sa), size)
	return errno
}

// putPort is the inverse of port.
func putPort(raw *uint16, port uint16) {
	b := (*[2]byte)(unsafe.Pointer(raw))
	b[0], b[1] = byte(port>>8), byte(port)
}

// Shutdown tells the peer of fd that no more is sent.
func Shutdown(fd int32) syscall.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0)
	return errno
}

// SetNoDelay sets whether fd, a socket of TCP, sends small writes at once.
func SetNoDelay(fd int, noDelay bool) syscall.Errno {
	value := int32(0)
	if noDelay {
		value = 1
	}
	return Set(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, value)
}

// Set sets an option of fd that is a number.
func Set(fd, level, option int, value int32) syscall.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option), uintptr(unsafe.Pointer(&value)), 4, 0)
	return errno
}

// PendingError takes the error that waits in fd; 0 is none.
func PendingError(fd int32) syscall.Errno {
	value, size := int32(0), uint32(4)
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_ERROR, uintptr(unsafe.Pointer(&value)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return errno
	}
	return syscall.Errno(value)
}

// Info reads what the kernel knows of fd, a connection of TCP.
func Info(fd int, info *unix.TCPInfo) syscall.Errno {
	size := uint32(unix.SizeofTCPInfo)
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_INFO, uintptr(unsafe.Pointer(info)), uintptr(unsafe.Pointer(&size)), 0)
	return errno
}
