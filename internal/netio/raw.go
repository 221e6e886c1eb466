package netio

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What the heartbeat sends and reads never blocks, and so the runtime is not told
// that it might: that would wake its monitor a hundred times a second, which costs
// more than the heartbeat itself.

// sendNow sends a message with control data to a socket address of that size.
func sendNow(fd int, payload, control []byte, to unsafe.Pointer, size uintptr) error {
	iov := unix.Iovec{Base: unsafe.SliceData(payload)}
	iov.SetLen(len(payload))
	h := unix.Msghdr{Name: (*byte)(to), Namelen: uint32(size), Iov: &iov}
	h.SetIovlen(1)
	if len(control) > 0 {
		h.Control = unsafe.SliceData(control)
		h.SetControllen(len(control))
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&h)), unix.MSG_DONTWAIT); errno != 0 {
		return errno
	}
	return nil
}

func sendNow4(fd int, payload []byte, to netip.Addr) error {
	a := unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: to.As4()}
	return sendNow(fd, payload, nil, unsafe.Pointer(&a), unsafe.Sizeof(a))
}

func sendNow6(fd int, payload, control []byte, to netip.Addr, index int) error {
	a := unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: to.As16(), Scope_id: uint32(index)}
	return sendNow(fd, payload, control, unsafe.Pointer(&a), unsafe.Sizeof(a))
}

func sendFrameNow(fd int, frame []byte, index int) error {
	a := unix.RawSockaddrLinklayer{Family: unix.AF_PACKET, Ifindex: int32(index)}
	return sendNow(fd, frame, nil, unsafe.Pointer(&a), unsafe.Sizeof(a))
}

// receiveNow reads a message into b and its control data into control. The source is
// invalid unless it is of IPv6.
func receiveNow(fd int, b, control []byte) (n, nc int, from netip.Addr, err error) {
	var a unix.RawSockaddrInet6
	iov := unix.Iovec{Base: unsafe.SliceData(b)}
	iov.SetLen(len(b))
	h := unix.Msghdr{Name: (*byte)(unsafe.Pointer(&a)), Namelen: uint32(unsafe.Sizeof(a)), Iov: &iov}
	h.SetIovlen(1)
	if len(control) > 0 {
		h.Control = unsafe.SliceData(control)
		h.SetControllen(len(control))
	}
	r, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&h)), unix.MSG_DONTWAIT)
	if errno != 0 {
		return 0, 0, netip.Addr{}, errno
	}
	if a.Family == unix.AF_INET6 {
		from = netip.AddrFrom16(a.Addr)
	}
	return int(r), int(h.Controllen), from, nil
}
