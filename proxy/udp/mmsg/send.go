package mmsg

import (
	"encoding/binary"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sender holds the messages of one batch. What they hold is the caller's, and stays as
// it is until they are sent.
type Sender struct {
	headers  [Size]header
	vectors  [Size]unix.Iovec
	names    [Size]unix.RawSockaddrInet6
	controls [Size][controlSize]byte
	messages [Size]Message
	n        int
}

// NewSender returns an empty batch.
func NewSender() *Sender {
	s := &Sender{}
	for i := range s.headers {
		s.headers[i].Iov = &s.vectors[i]
		s.headers[i].SetIovlen(1)
	}
	return s
}

// Message is what Add takes.
type Message struct {
	Payload []byte
	Segment int // size of the datagrams that Payload is to be taken apart into; 0: it is one

	To   Address  // nobody: the socket is connected
	From [16]byte // nowhere: as the socket is bound
	V4   bool     // the socket is of IPv4 alone, where To and From are mapped
}

// Reset empties the batch.
func (s *Sender) Reset() { s.n = 0 }

// Len returns how many messages are in the batch.
func (s *Sender) Len() int { return s.n }

// Add appends m. There is room for Size.
func (s *Sender) Add(m *Message) {
	h, v := &s.headers[s.n], &s.vectors[s.n]
	s.messages[s.n] = *m
	v.Base = unsafe.SliceData(m.Payload)
	v.SetLen(len(m.Payload))
	h.Name, h.Namelen = nil, 0
	if m.To.Port != 0 {
		h.Name, h.Namelen = s.name(s.n, m)
	}
	control := s.controls[s.n][:0]
	if m.From != ([16]byte{}) {
		control = source(control, m)
	}
	if m.Segment > 0 {
		data := [2]byte{}
		binary.NativeEndian.PutUint16(data[:], uint16(m.Segment))
		control = item(control, unix.SOL_UDP, unix.UDP_SEGMENT, data[:])
	}
	h.Control = nil
	if len(control) > 0 {
		h.Control = &control[0]
	}
	h.SetControllen(len(control))
	s.n++
}

// name writes where message i goes.
func (s *Sender) name(i int, m *Message) (*byte, uint32) {
	sa := &s.names[i]
	*sa = unix.RawSockaddrInet6{}
	port := (*[2]byte)(unsafe.Pointer(&sa.Port)) // at the same place in both families
	binary.BigEndian.PutUint16(port[:], m.To.Port)
	p := (*byte)(unsafe.Pointer(sa))
	if m.V4 {
		sa.Family = unix.AF_INET
		(*unix.RawSockaddrInet4)(unsafe.Pointer(sa)).Addr = [4]byte(m.To.IP[12:])
		return p, unix.SizeofSockaddrInet4
	}
	sa.Family, sa.Addr, sa.Scope_id = unix.AF_INET6, m.To.IP, m.To.Scope
	return p, unix.SizeofSockaddrInet6
}

// source appends where m comes from. On a socket for both families it is in the form of
// IPv6 for IPv4, too.
func source(control []byte, m *Message) []byte {
	if m.V4 {
		data := [unix.SizeofInet4Pktinfo]byte{}
		copy(data[4:8], m.From[12:])
		return item(control, unix.SOL_IP, unix.IP_PKTINFO, data[:])
	}
	data := [unix.SizeofInet6Pktinfo]byte{}
	copy(data[:16], m.From[:])
	binary.NativeEndian.PutUint32(data[16:], m.To.Scope)
	return item(control, unix.SOL_IPV6, unix.IPV6_PKTINFO, data[:])
}

// item appends a control message.
func item(control []byte, level, kind int32, data []byte) []byte {
	at := len(control)
	control = control[:at+unix.CmsgSpace(len(data))]
	clear(control[at:])
	h := (*unix.Cmsghdr)(unsafe.Pointer(&control[at]))
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(len(data)))
	copy(control[at+unix.CmsgLen(0):], data)
	return control
}

// Send sends the messages from the first on, and returns how many were; the error is
// that of the next one, of which nothing was sent. Without an error it may have been
// fewer than all: the next call says why.
func (s *Sender) Send(fd int32, first int) (sent int, errno syscall.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&s.headers[first])), uintptr(s.n-first),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// Message returns message i of the batch as it was added.
func (s *Sender) Message(i int) Message { return s.messages[i] }

// SendEach sends the datagrams of m, or the one that it is, one by one and as a new
// batch, and returns how many were not sent.
func (s *Sender) SendEach(fd int32, m *Message) (failed int) {
	one := *m
	one.Segment = 0
	size := m.Segment
	if size == 0 {
		size = len(m.Payload)
	}
	for rest, more := m.Payload, true; more; {
		s.Reset()
		for s.n < Size && more {
			one.Payload = rest[:min(size, len(rest))]
			rest = rest[len(one.Payload):]
			more = len(rest) > 0
			s.Add(&one)
		}
		for first := 0; first < s.n; {
			sent, errno := s.Send(fd, first)
			if first += sent; errno != 0 {
				failed++
				first++
			}
		}
	}
	return failed
}
