// Package socket has the system calls of the fast path, on non-blocking
// descriptors, and the addresses of sockets in both forms.
//
// They are raw calls: on a non-blocking descriptor they end soon, and need not tell
// the scheduler. Telling it wakes a thread of the runtime that looks after it, each time
// that the process has slept. None fails with EINTR: what does not sleep is not interrupted, and
// Go's signal handlers restart the rest.
package socket

import (
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Recv receives into b. n is 0 with every error, and without one at the end.
func Recv(fd int32, b []byte, flags int) (n int, errno syscall.Errno) {
	r, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), uintptr(flags), 0, 0)
	return count(r, errno)
}

// Send sends b, or the beginning of it. It raises no SIGPIPE.
func Send(fd int32, b []byte) (n int, errno syscall.Errno) {
	r, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
	return count(r, errno)
}

// maxBuffers is how many buffers go into one system call.
const maxBuffers = 8

// SendBuffers sends up to eight of bufs without the first skip bytes of the
// first.
func SendBuffers(fd int32, bufs [][]byte, skip int) (n int, errno syscall.Errno) {
	if len(bufs) == 1 {
		return Send(fd, bufs[0][skip:])
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

// Splice moves up to n bytes between a socket and a pipe.
func Splice(from, to int32, n int) (moved int, errno syscall.Errno) {
	r, _, errno := unix.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n), unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
	return count(r, errno)
}

func count(r uintptr, errno syscall.Errno) (int, syscall.Errno) {
	if errno != 0 {
		return 0, errno
	}
	return int(r), 0
}

// Accept returns a non-blocking socket and the address of its peer, which is
// invalid unless it is an IP address.
func Accept(fd int) (conn int, peer netip.AddrPort, errno syscall.Errno) {
	var sa unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	r, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, netip.AddrPort{}, errno
	}
	return int(r), addrPort(&sa), 0
}
