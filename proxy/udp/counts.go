package udp

import (
	"errors"
	"sync/atomic"
	"syscall"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// drop is why datagrams were dropped.
type drop uint8

const (
	dropConnections       drop = iota // there are as many sessions as there may be
	dropClientConnections             // the client has as many as it may
	dropNoServer                      // no server can be used
	dropFull                          // all servers have as many sessions as they may
	dropBreakerOpen                   // the breaker of the pool or of all servers is open
	dropHost                          // the host has no descriptor, port or memory for a session
	dropServerBusy                    // the socket to the server takes no more
	dropServerGone                    // the server refused, and no other one took it
	dropClientBusy                    // the socket to the clients takes no more
	dropClientGone                    // there is no way to the client
	dropTooLarge                      // it does not fit into a packet
	dropNobody                        // it has no port to answer to
	drops
)

// names are those in the status and the manual.
var names = [drops]string{
	dropConnections:       "connections",
	dropClientConnections: "connections_per_client",
	dropNoServer:          "no_server",
	dropFull:              "full",
	dropBreakerOpen:       "breaker_open",
	dropHost:              "no_descriptor",
	dropServerBusy:        "server_busy",
	dropServerGone:        "server_unreachable",
	dropClientBusy:        "client_busy",
	dropClientGone:        "client_unreachable",
	dropTooLarge:          "too_large",
	dropNobody:            "no_port",
}

// refused returns the reason for a refusal by the pool.
func refused(r upstream.Refusal) drop {
	switch r {
	case upstream.Full:
		return dropFull
	case upstream.BreakerOpen:
		return dropBreakerOpen
	default:
		return dropNoServer
	}
}

// counts are of all sockets of a listener. Each is added to once a batch.
type counts struct {
	accepted, failed           atomic.Uint64 // sessions
	in, out, bytesIn, bytesOut atomic.Uint64
	dropped                    [drops]atomic.Uint64
}

func (c *counts) drop(why drop, n int) { c.dropped[why].Add(uint64(n)) }

func (c *counts) traffic() proxy.Traffic {
	t := proxy.Traffic{
		Accepted: c.accepted.Load(),
		Failed:   c.failed.Load(),
		Shed:     c.dropped[dropHost].Load(),
		In:       proxy.Datagrams{Count: c.in.Load(), Bytes: c.bytesIn.Load()},
		Out:      proxy.Datagrams{Count: c.out.Load(), Bytes: c.bytesOut.Load()},
	}
	for i := range c.dropped {
		if n := c.dropped[i].Load(); n > 0 && drop(i) != dropHost {
			if t.Refused == nil {
				t.Refused = make(map[string]uint64)
			}
			t.Refused[names[i]] = n
		}
	}
	return t
}

// datagrams returns how many are in a message of that size.
func datagrams(size, segment int) int {
	if segment == 0 {
		return 1
	}
	return (size + segment - 1) / segment
}

// own reports whether an error is about one message, not about who it is for: the
// session goes on.
func own(errno syscall.Errno) (why drop, yes bool) {
	switch errno {
	case syscall.EAGAIN, syscall.ENOBUFS, syscall.ENOMEM:
		return dropServerBusy, true
	case syscall.EMSGSIZE, syscall.EINVAL, syscall.EIO:
		return dropTooLarge, true
	case syscall.EPERM: // a filter of this host
		return dropServerGone, true
	}
	return 0, false
}

// lacking reports whether a socket could not be connected for want of something on this
// host. Of UDP that is said of ports with EAGAIN: a socket without one gets it when it is
// connected, and no two share one, whatever they are connected to.
func lacking(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EAGAIN} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// Reasons returns the names under which dropped datagrams are counted.
func Reasons() []string { return names[:] }
