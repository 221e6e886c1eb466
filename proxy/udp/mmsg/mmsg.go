// Package mmsg receives and sends many datagrams with one system call each way
// (recvmmsg and sendmmsg), on descriptors that do not wait.
//
// Where the kernel joins datagrams of one sender (UDP_GRO), a message holds several of
// them, all of the same size but for the last; and it takes such a message apart again
// (UDP_SEGMENT). A burst then crosses the process as one.
package mmsg

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// Size is how many messages one system call moves at most.
	Size = 32

	// bufferSize holds the longest datagram, and the longest row of joined ones.
	bufferSize = 64 << 10

	controlSize = 128
)

// Address is an address and port in the form that is compared and kept: no pointer,
// and IPv4 mapped into IPv6.
type Address struct {
	IP    [16]byte
	Port  uint16
	Scope uint32 // interface of a link-local address, else 0
}

// AddressOf returns a in this form, without a zone.
func AddressOf(a netip.AddrPort) Address { return Address{IP: a.Addr().As16(), Port: a.Port()} }

// AddrPort returns the address in the usual form; the zone is a number.
func (a Address) AddrPort() netip.AddrPort {
	addr := netip.AddrFrom16(a.IP).Unmap()
	if a.Scope != 0 {
		addr = addr.WithZone(strconv.FormatUint(uint64(a.Scope), 10))
	}
	return netip.AddrPortFrom(addr, a.Port)
}

// header is struct mmsghdr.
type header struct {
	unix.Msghdr
	size uint32 // of the message that was moved
}

// Receiver holds the messages of one batch. It is large (2 MiB, of which the system
// gives what is used), and meant to be shared by the sockets of an event loop.
type Receiver struct {
	headers  [Size]header
	vectors  [Size]unix.Iovec
	names    [Size]unix.RawSockaddrInet6
	controls [Size][controlSize]byte
	buffers  []byte
	used     int // messages of the last batch, whose headers the kernel has changed
}

// NewReceiver returns a receiver.
func NewReceiver() *Receiver {
	r := &Receiver{buffers: make([]byte, Size*bufferSize)}
	for i := range r.headers {
		h := &r.headers[i]
		r.vectors[i].Base = &r.buffers[i*bufferSize]
		r.vectors[i].SetLen(bufferSize)
		h.Iov, h.Name, h.Control = &r.vectors[i], (*byte)(unsafe.Pointer(&r.names[i])), &r.controls[i][0]
		h.SetIovlen(1)
	}
	r.used = Size
	return r
}

// Receive takes up to Size messages from fd, and gives up those of the last call. n is
// 0 with every error. Fewer than Size are all there were.
func (r *Receiver) Receive(fd int32) (n int, errno syscall.Errno) {
	for i := range r.used {
		h := &r.headers[i]
		h.Namelen = unix.SizeofSockaddrInet6
		h.SetControllen(controlSize)
	}
	got, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&r.headers)), Size, unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		r.used = 0
		return 0, errno
	}
	r.used = int(got)
	return r.used, 0
}

// Payload returns the bytes of message i, valid until the next Receive.
func (r *Receiver) Payload(i int) []byte {
	return r.buffers[i*bufferSize:][:r.headers[i].size]
}

// Peer returns who has sent message i.
func (r *Receiver) Peer(i int) (a Address) {
	sa := &r.names[i]
	port := (*[2]byte)(unsafe.Pointer(&sa.Port)) // at the same place in both families
	a.Port = binary.BigEndian.Uint16(port[:])
	if sa.Family == unix.AF_INET {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		a.IP = mapped(v4.Addr)
		return a
	}
	a.IP, a.Scope = sa.Addr, sa.Scope_id
	return a
}

// Control returns what the kernel says of message i: the address that it came to, if
// the socket asks for that, and the size of the datagrams that were joined, 0 when it
// is a single one.
func (r *Receiver) Control(i int) (local [16]byte, segment int) {
	h := &r.headers[i]
	rest := r.controls[i][:h.Controllen]
	for len(rest) >= unix.SizeofCmsghdr {
		c := (*unix.Cmsghdr)(unsafe.Pointer(&rest[0]))
		size := int(c.Len)
		if size < unix.SizeofCmsghdr || size > len(rest) {
			break
		}
		data := rest[unix.CmsgLen(0):size]
		switch {
		case c.Level == unix.SOL_UDP && c.Type == unix.UDP_GRO && len(data) >= 4:
			segment = int(int32(binary.NativeEndian.Uint32(data)))
		case c.Level == unix.SOL_IP && c.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			// The address to answer from, which for a broadcast is not the one in the
			// header.
			local = mapped([4]byte(data[4:8]))
		case c.Level == unix.SOL_IPV6 && c.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			local = [16]byte(data[:16])
		}
		rest = rest[min(unix.CmsgSpace(len(data)), len(rest)):]
	}
	if segment >= int(h.size) {
		segment = 0
	}
	return local, segment
}

func mapped(v4 [4]byte) [16]byte { return netip.AddrFrom4(v4).As16() }
