package netio

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// errFiltered tells the EPERM of a packet filter, which may be reloaded at any
// time, from that of a missing capability.
var errFiltered = errors.New("a packet filter on this host drops it: accept protocol 112 (VRRP) on output")

// Retryable reports whether what failed with err may succeed later without
// anyone granting a privilege or changing the configuration: the interface was
// down, deleted or without its address, or a buffer was full. After ENODEV and
// ENXIO it can only succeed on a new socket, because a socket stays bound to
// the interface that it was opened on.
func Retryable(err error) bool {
	if errors.Is(err, errFiltered) {
		return true
	}
	for _, errno := range []unix.Errno{
		unix.ENETDOWN,      // interface down
		unix.ENETUNREACH,   // interface down, or the source address is gone
		unix.EADDRNOTAVAIL, // the source address is gone
		unix.EHOSTUNREACH,  // no route
		unix.ENODEV,        // interface deleted
		unix.ENXIO,         // interface deleted (packet sockets)
		unix.EAGAIN,        // send buffer full
		unix.ENOBUFS,       // queue of the interface full
		unix.ENOMEM,
		unix.EINTR,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// explain adds what to do about a missing capability.
func explain(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return fmt.Errorf("%w: raw sockets need CAP_NET_RAW: run as root, or set AmbientCapabilities=CAP_NET_RAW in the systemd unit, or --cap-add NET_RAW for a container", err)
	}
	return err
}

// interfaceIndex asks through fd, which is a socket in the network namespace in
// question, for the current index of an interface.
func interfaceIndex(fd int, name string) (int, error) {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return 0, fmt.Errorf("interface name %q: %w", name, err)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, ifr); err != nil {
		return 0, fmt.Errorf("index of interface %q: %w", name, err)
	}
	return int(ifr.Uint32()), nil
}
