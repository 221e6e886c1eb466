package main

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// The states of a connection.
const (
	absent     = iota // there is none
	connecting        // for the request that it has
	idle
	busy // its request was sent
)

// A conn is one of the connections that a load may have, with at most one request.
type conn struct {
	fd       int
	state    int
	era      uint32 // counts what has been in this place
	intended time.Duration
	raw      []byte   // what came and is not looked at
	text     []byte   // the same without TLS
	records  *records // nil: no TLS
}

// clientOf returns the address that connection i comes from: many clients share the
// load, as limits by the client are not what is measured.
func clientOf(i int) [4]byte { return [4]byte{127, 2, byte(i / 250 % 250), byte(1 + i%250)} }

// connectFrom begins a connection to the address.
func connectFrom(client [4]byte, to netip.AddrPort) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("open socket: %w", err)
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1),
		unix.Bind(fd, &unix.SockaddrInet4{Addr: client}),
	)
	if err != nil {
		return -1, errors.Join(fmt.Errorf("prepare socket: %w", err), unix.Close(fd))
	}
	err = unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return fd, err // it is looked at with the socket's events
	}
	return fd, nil
}

// read reads what there is, into text. done reports whether no more can come.
func (c *conn) read(scratch []byte) (done bool, err error) {
	n, err := unix.Read(c.fd, scratch)
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return false, nil
	case err != nil:
		return true, err
	case n == 0:
		return true, nil
	case c.records == nil:
		c.text = append(c.text, scratch[:n]...)
		return false, nil
	}
	c.raw = append(c.raw, scratch[:n]...)
	for len(c.raw) > 0 {
		used, text, err := c.records.open(c.raw)
		if err != nil {
			return true, err
		}
		if used == 0 {
			break
		}
		c.text = append(c.text, text...)
		c.raw = c.raw[:copy(c.raw, c.raw[used:])]
	}
	return false, nil
}

// write sends text, which is small: it goes out whole, or the connection is of no use.
func (c *conn) write(text []byte) error {
	if c.records != nil {
		text = c.records.seal(text)
	}
	n, err := unix.Write(c.fd, text)
	if err == nil && n < len(text) {
		err = unix.EAGAIN
	}
	return err
}

// kindOf says what became of a request whose connection broke off with err.
func kindOf(err error) string {
	switch {
	case err == nil:
		return ended
	case errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE):
		return reset
	case errors.Is(err, unix.ECONNREFUSED):
		return refused
	}
	return malformed
}
