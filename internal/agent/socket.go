package agent

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/tandemlb/tandem/vrrp"
)

// maxPacket is larger than any VRRP packet: 60 bytes of IP header, 8 of VRRP,
// 255 addresses.
const maxPacket = 60 + 8 + 255*16

// maxDrain bounds the packets judged in one turn of the loop, so that a flood
// cannot keep it from sending. At 10 ms it is ten seconds of one peer's adverts.
const maxDrain = 1024

// sharedSocket is a VRRP socket with the virtual routers of its interface. Its
// goroutine only says that something can be read; the loop reads, so that it
// can empty the socket before it judges a silence.
type sharedSocket struct {
	Socket
	ifname string
	resume chan struct{} // capacity 1: the loop has emptied the socket
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// watch starts the goroutine of s, which sends s to readableC whenever it can
// be read, and then waits for resume.
func (s *sharedSocket) watch(ctx context.Context, readableC chan<- *sharedSocket) {
	ctx, s.cancel = context.WithCancel(ctx)
	s.wg.Go(func() {
		for {
			err := s.Wait()
			if ctx.Err() != nil {
				return
			}
			select {
			case readableC <- s:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return // the loop meets the error itself when it reads
			}
			select {
			case <-s.resume:
			case <-ctx.Done():
				return
			}
		}
	})
}

// close ends the goroutine and the socket.
func (s *sharedSocket) close() {
	s.cancel()
	s.Close()
	s.wg.Wait()
}

// heard is an accepted advertisement.
type heard struct {
	in   *instance
	from netip.Addr
	adv  vrrp.Advert
}

// newest drops every advertisement that the same router has followed up with
// another: after a stall a queue of old ones says nothing about now.
func newest(all []heard) []heard {
	type source struct {
		in   *instance
		from netip.Addr
	}
	last := make(map[source]int, len(all))
	for i, h := range all {
		last[source{h.in, h.from}] = i
	}
	kept := all[:0]
	for i, h := range all {
		if last[source{h.in, h.from}] == i {
			kept = append(kept, h)
		}
	}
	return kept
}

// opened is the outcome of opening the socket of an interface.
type opened struct {
	ifname string
	conn   Socket
	err    error
}

// open has the socket of the instance's interface opened, if it is not open yet.
// Joining a group takes a lock of the kernel, and so does leaving it: the
// heartbeat of the other routers must not wait for that.
func (l *loop) open(ctx context.Context, in *instance) {
	ifname, self := in.cfg.Interface, in.cfg.Params.Self
	if s := l.sockets[ifname]; s != nil {
		in.sock, in.sockErr = s, nil
		return
	}
	if l.opening[ifname] {
		return
	}
	l.opening[ifname] = true
	l.tasks.Go(func() {
		conn, err := l.host.Listen(ifname, self)
		select {
		case l.openedC <- opened{ifname, conn, err}:
		case <-ctx.Done():
			if err == nil {
				conn.Close()
			}
		}
	})
}

// opened gives a socket to the instances of its interface.
func (l *loop) opened(ctx context.Context, now time.Time, o opened) {
	delete(l.opening, o.ifname)
	var waiting []*instance
	for _, in := range l.instances {
		if in.cfg.Interface == o.ifname && in.sock == nil {
			waiting = append(waiting, in)
		}
	}
	if o.err != nil {
		for _, in := range waiting {
			if in.sockErr == nil || in.sockErr.Error() != o.err.Error() {
				l.changed = true
				l.reporter.log("error", "cannot take part in the election", map[string]any{"vip": in.cfg.Name, "error": o.err.Error()})
			}
			in.sockErr, in.reopenAt = o.err, now.Add(reopenEvery)
		}
		return
	}
	s := &sharedSocket{Socket: o.conn, ifname: o.ifname, resume: make(chan struct{}, 1)}
	s.watch(ctx, l.readableC)
	if len(waiting) == 0 {
		l.tasks.Go(s.close) // the config has changed meanwhile
		return
	}
	l.sockets[o.ifname] = s
	for _, in := range waiting {
		in.sock, in.sockErr = s, nil
	}
}

// socketFailed closes a socket that cannot be read any more; admit has it opened
// anew.
func (l *loop) socketFailed(s *sharedSocket, err error) {
	l.reporter.log("warn", "VRRP socket failed", map[string]any{"interface": s.ifname, "error": err.Error()})
	l.closeSocket(s)
	for _, in := range l.instances {
		if in.sock == s {
			in.sock, in.sockErr = nil, err
		}
	}
}

func (l *loop) closeSocket(s *sharedSocket) {
	delete(l.sockets, s.ifname)
	l.tasks.Go(s.close)
}

// closeSockets closes all sockets, and waits for it.
func (l *loop) closeSockets() {
	for _, s := range l.sockets {
		s.close()
	}
	l.tasks.Wait()
}
