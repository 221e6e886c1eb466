package reactor

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy/reactor/socket"
)

const (
	// acceptBatch bounds the accepts of a turn, so that a storm of connections
	// does not keep those that are open waiting.
	acceptBatch = 64

	// acceptRest is how long a listener leaves new connections to the kernel when
	// the host is short of something, after it has refused refuseBatch of them.
	acceptRest  = 20 * time.Millisecond
	refuseBatch = 16
)

// accept takes new connections. It runs no code of theirs.
func (ln *Listener) accept() {
	for range acceptBatch {
		if ln.stopped || ln.resting {
			return
		}
		fd, peer, errno := socket.Accept(ln.fd)
		switch errno {
		case 0:
			ln.place(fd, peer)
		case unix.EAGAIN:
			return
		case unix.EMFILE, unix.ENFILE:
			ln.failed.Add(1)
			ln.refuse()
			ln.rest()
		case unix.ENOBUFS, unix.ENOMEM, unix.EBADF, unix.EINVAL:
			ln.failed.Add(1)
			ln.rest()
		default: // an error of that connection; the next may be well
			ln.failed.Add(1)
		}
	}
}

// place gives a connection to a loop.
func (ln *Listener) place(fd int, peer netip.AddrPort) {
	ln.accepted.Add(1)
	ln.open.Add(1)
	l := ln.loop.reactor.least(ln.loop)
	l.open.Add(1) // now: the next choice must know of it
	if l == ln.loop {
		l.adopt(ln, fd, peer)
		return
	}
	if l.Post(func() { l.adopt(ln, fd, peer) }) != nil {
		l.disown(ln, fd) // the reactor ends
	}
}

// adopt makes an accepted socket a connection of the loop.
func (l *Loop) adopt(ln *Listener, fd int, peer netip.AddrPort) {
	if l.closing {
		l.disown(ln, fd)
		return
	}
	c, err := l.register(fd, peer)
	if err != nil { // out of memory or of epoll watches
		ln.failed.Add(1)
		ln.open.Add(-1)
		l.open.Add(-1)
		return
	}
	c.listener = ln
	c.flags |= parked | fresh | drained
	if ln.options.Timeout > 0 {
		c.readBy = l.now + int64(ln.options.Timeout)
		c.arm(c.readBy)
	}
	early := ln.options.AtOnce
	if f := ln.options.Accepted; f != nil {
		l.protect(func() { early = !f(c) || early })
	}
	if early && c.flags&closed == 0 {
		c.flags |= atOnce
		c.enqueue()
	}
}

func (l *Loop) disown(ln *Listener, fd int) {
	ln.open.Add(-1)
	l.open.Add(-1)
	socket.Close(fd)
}

// refuse turns connections away by means of the spare descriptor, so that their
// clients learn it at once instead of waiting for nothing.
func (ln *Listener) refuse() {
	for range refuseBatch {
		if ln.spare < 0 {
			if ln.spare = socket.OpenSpare(); ln.spare < 0 {
				return
			}
		}
		unix.Close(ln.spare)
		ln.spare = -1
		fd, _, errno := socket.Accept(ln.fd)
		if errno == 0 {
			ln.refused.Add(1)
			socket.TurnAway(fd, ln.options.Refusal)
		}
		ln.spare = socket.OpenSpare()
		if errno != 0 {
			return
		}
	}
}

// rest leaves new connections alone for a while.
func (ln *Listener) rest() {
	ln.resting = true
	ln.watch()
	l := ln.loop
	l.timers.Set(&ln.timer, tickAfter(l.now+int64(acceptRest)))
}

// expire ends the rest.
func (ln *Listener) expire(int64) int64 {
	ln.resting = false
	ln.watch()
	return 0
}
