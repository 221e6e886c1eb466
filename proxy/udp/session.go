package udp

import (
	"math/rand/v2"
	"net/netip"
	"syscall"
	"time"

	"github.com/tandemlb/tandem/proxy/balance"
	"github.com/tandemlb/tandem/proxy/census"
	"github.com/tandemlb/tandem/proxy/dial"
	"github.com/tandemlb/tandem/proxy/reactor/socket"
	"github.com/tandemlb/tandem/proxy/reactor/wheel"
	"github.com/tandemlb/tandem/proxy/udp/mmsg"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// none is the end of a chain of messages.
const none int8 = -1

// session is a client and its server.
type session struct {
	bind    *bind
	key     key
	fd      int32 // connected to the server
	first   int8  // messages of the present batch, see lane
	last    int8
	counted bool // among those of its client

	server  *upstream.Server
	pool    *upstream.Pool // that chose it
	unwatch func()
	again   func() // read, made once

	timer   wheel.Timer[*session]
	latency time.Duration // of the first answer; 0: there was none

	// Times are those of [bind.at].

	began   time.Duration
	heard   time.Duration // the last datagram, either way
	leaveBy time.Duration // when a server that is drained must be left; 0: it is not
}

// open begins a session with a server that is not among tried, or says why not.
func (b *bind) open(k key, now time.Time, tried []*upstream.Server) (*session, drop) {
	p := b.proxy
	if k.client.Port == 0 {
		return nil, dropNobody
	}
	conf := p.conf.Load()
	limits := conf.Listener.Limits
	if most := int64(limits.Connections); p.open.Add(1) > most && most > 0 {
		p.notify()
		return nil, dropConnections
	}
	s := &session{bind: b, key: k, fd: -1, first: none, began: b.at(now), heard: b.at(now)}
	client := k.client.AddrPort().Addr()
	if most := limits.ConnectionsPerClient; most > 0 {
		if !p.clients.Enter(census.ClientOf(client), most) {
			p.notify()
			return nil, dropClientConnections
		}
		s.counted = true
	}
	why := s.connect(conf, client, upstream.Ask{Now: now, Tried: tried})
	if s.server == nil {
		p.counts.failed.Add(1)
		s.leave()
		return nil, why
	}
	p.counts.accepted.Add(1)
	b.sessions[k] = s
	s.timer.Owner = s
	b.setTimer(s)
	return s, 0
}

// connect finds a server. Without one it says why.
func (s *session) connect(conf *Config, client netip.Addr, ask upstream.Ask) drop {
	loop := s.bind.lane.loop
	s.pool = conf.choose(rand.Uint64())
	if s.pool == nil {
		return dropNoServer
	}
	ask.Hash, ask.Random = balance.HashClient(client), rand.Uint64()
	for {
		server, refusal := s.pool.Pick(&ask)
		switch {
		case server == nil && len(ask.Tried) > 0:
			return dropServerGone
		case server == nil:
			return refused(refusal)
		}
		fd, err := mmsg.Connect(server.Address())
		if err == nil {
			s.fd, s.again = fd, s.read
			if s.unwatch, err = loop.Watch(int(fd), s.again); err == nil {
				s.server = server
				return 0
			}
			socket.Close(int(fd))
		}
		server.Abandon(ask.Now)
		if lacking(err) {
			return dropHost
		}
		dial.Judge(server, ask.Now, err, conf.Observe)
		ask.Tried = append(ask.Tried, server)
	}
}

// choose returns the pool for a session.
func (c *Config) choose(random uint64) *upstream.Pool {
	sum := uint64(0)
	for _, share := range c.Pools {
		sum += uint64(share.Weight)
	}
	if sum == 0 {
		return nil
	}
	random %= sum
	for _, share := range c.Pools {
		if random < uint64(share.Weight) {
			return share.Pool
		}
		random -= uint64(share.Weight)
	}
	return nil
}

// forward sends the messages of the present batch to the server.
func (s *session) forward(now time.Time) {
	b, in, out := s.bind, s.bind.lane.in, s.bind.lane.out
	for again := true; ; again = false {
		s.heard = b.at(now)
		out.Reset()
		for i := s.first; i != none; i = b.lane.next[i] {
			_, segment := in.Control(int(i))
			out.Add(&mmsg.Message{Payload: in.Payload(int(i)), Segment: segment})
		}
		first := s.first
		s.first = none
		done, errno := s.send(out)
		if errno == 0 {
			return
		}
		// The server refused what was sent before; the rest has not been sent.
		next, tried := s.rest(first, done), s.server
		s.fail(now, errno)
		why := dropServerGone
		if again {
			var other *session
			if other, why = b.open(s.key, now, []*upstream.Server{tried}); other != nil {
				other.first = next
				s = other
				continue
			}
		}
		s.dropRest(next, why)
		return
	}
}

// send sends the batch to the server. Without an error it has dealt with all of it; with
// one the session is at its end, and done messages are sent.
func (s *session) send(out *mmsg.Sender) (done int, _ syscall.Errno) {
	c := &s.bind.proxy.counts
	for done < out.Len() {
		n, errno := out.Send(s.fd, done)
		done += n
		if errno == 0 {
			continue
		}
		why, mine := own(errno)
		if !mine {
			return done, errno
		}
		m := out.Message(done)
		count := datagrams(len(m.Payload), m.Segment)
		if why == dropTooLarge {
			// Perhaps it is the taking apart that the way does not allow. Or it was too
			// large what was sent before: a router says so, and the kernel says it once,
			// instead of sending this one.
			count = s.bind.lane.single.SendEach(s.fd, &m)
		}
		c.drop(why, count)
		done++
	}
	return done, 0
}

// rest returns what follows the first n messages of a chain.
func (s *session) rest(first int8, n int) int8 {
	for ; n > 0; n-- {
		first = s.bind.lane.next[first]
	}
	return first
}

// dropRest drops a chain of messages.
func (s *session) dropRest(first int8, why drop) {
	l := s.bind.lane
	for i := first; i != none; i = l.next[i] {
		_, segment := l.in.Control(int(i))
		s.bind.proxy.counts.drop(why, datagrams(len(l.in.Payload(int(i))), segment))
	}
}

// read takes what the server has sent.
func (s *session) read() {
	in, out := s.bind.lane.in, s.bind.lane.out
	for range turnBatches {
		if s.fd < 0 {
			return
		}
		n, errno := in.Receive(s.fd)
		now := s.bind.lane.loop.Now()
		switch {
		case errno == syscall.EAGAIN:
			return
		case errno != 0:
			if _, mine := own(errno); !mine {
				s.fail(now, errno)
			}
			continue
		}
		s.answered(now)
		out.Reset()
		for i := range n {
			_, segment := in.Control(i)
			out.Add(&mmsg.Message{Payload: in.Payload(i), Segment: segment, To: s.key.client, From: s.key.local, V4: s.bind.socket.V4})
		}
		s.answer(out)
		if n < mmsg.Size {
			return
		}
	}
	_ = s.bind.lane.loop.Post(s.again) // else the loop has ended
}

// answered notes that the server has sent something.
func (s *session) answered(now time.Time) {
	s.heard = s.bind.at(now)
	if s.latency == 0 {
		s.latency = max(s.heard-s.began, 1)
		dial.Judge(s.server, now, nil, s.bind.proxy.conf.Load().Observe)
	}
}

// answer sends the batch to the client.
func (s *session) answer(out *mmsg.Sender) {
	c := &s.bind.proxy.counts
	fd := s.bind.socket.FD
	for done := 0; done < out.Len(); {
		n, errno := out.Send(fd, done)
		for i := done; i < done+n; i++ {
			m := out.Message(i)
			c.out.Add(uint64(datagrams(len(m.Payload), m.Segment)))
			c.bytesOut.Add(uint64(len(m.Payload)))
		}
		if done += n; errno == 0 {
			continue
		}
		m := out.Message(done)
		done++
		count, size := datagrams(len(m.Payload), m.Segment), len(m.Payload)
		failed, why := count, dropClientGone
		switch reason, mine := own(errno); {
		case mine && reason == dropServerBusy:
			why = dropClientBusy
		case mine && reason == dropTooLarge && m.Segment > 0:
			failed = s.bind.lane.single.SendEach(fd, &m)
			c.out.Add(uint64(count - failed))
			c.bytesOut.Add(uint64(size - min(failed*m.Segment, size)))
			why = dropTooLarge
		case errno == syscall.EMSGSIZE:
			why = dropTooLarge
		}
		c.drop(why, failed)
	}
}

// fail ends the session for an error of its server.
func (s *session) fail(now time.Time, errno syscall.Errno) {
	s.bind.proxy.counts.failed.Add(1)
	dial.Judge(s.server, now, errno, s.bind.proxy.conf.Load().Observe)
	s.end(now, upstream.Failure)
}

// end ends the session. Result is what is said of the server when it has not answered.
func (s *session) end(now time.Time, r upstream.Result) {
	if s.fd < 0 {
		return
	}
	b := s.bind
	s.unwatch()
	socket.Close(int(s.fd))
	s.fd = -1
	b.timers.Remove(&s.timer)
	delete(b.sessions, s.key)
	if r == upstream.Neutral && s.latency > 0 {
		r = upstream.Success
	}
	if v := s.server.End(now, upstream.Outcome{Result: r, Latency: s.latency, Began: now.Add(s.began - b.at(now))}); v != (upstream.Verdict{}) {
		b.proxy.conf.Load().Observe(s.server, v)
	}
	b.closeUnused()
	s.leave()
}

// leave takes the session out of the count.
func (s *session) leave() {
	p := s.bind.proxy
	if s.counted {
		p.clients.Leave(census.ClientOf(s.key.client.AddrPort().Addr()))
	}
	p.notify()
}

// due returns when the session ends if nothing more is heard of it, and no later than
// it must be looked at again. patience is how long it may be silent; 0: for ever.
func (s *session) due(now, patience time.Duration) time.Duration {
	due := now + farOff
	if patience > 0 {
		due = s.heard + patience
	}
	if s.leaveBy != 0 {
		due = min(due, s.leaveBy)
	}
	return due
}
