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

// open gives the instance the socket of its interface.
func (l *loop) open(ctx context.Context, now time.Time, in *instance) {
	self, ifname := in.cfg.Params.Self, in.cfg.Interface
	s := l.sockets[ifname]
	if s == nil {
		conn, err := l.host.Listen(ifname, self)
		if err != nil {
			if in.sockErr == nil || in.sockErr.Error() != err.Error() {
				l.changed = true
				l.reporter.log("error", "cannot take part in the election", map[string]any{"vip": in.cfg.Name, "error": err.Error()})
			}
			in.sockErr, in.reopenAt = err, now.Add(reopenEvery)
			return
		}
		s = &sharedSocket{Socket: conn, ifname: ifname, resume: make(chan struct{}, 1)}
		s.watch(ctx, l.readableC)
		l.sockets[ifname] = s
	}
	in.sock, in.sockErr = s, nil
}

// socketFailed closes a socket that cannot be read any more; admit opens it anew.
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
	s.close()
}

func (l *loop) closeSockets() {
	for _, s := range l.sockets {
		s.close()
	}
}
