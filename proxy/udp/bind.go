package udp

import (
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/reactor/wheel"
	"github.com/tandemlb/tandem/proxy/udp/mmsg"
	"github.com/tandemlb/tandem/proxy/upstream"
)

const (
	// turnBatches is how many batches of a socket are moved before others of the loop
	// have their turn.
	turnBatches = 4

	// tickShift makes a tick of the sessions' timers 2^26 ns, which are 67 ms.
	tickShift = 26

	// farOff is when the timer of a session that nothing ends looks again.
	farOff = time.Hour

	// quiet is how long a session may be silent while its socket takes nothing from
	// clients any more: longer than an answer takes.
	quiet = 5 * time.Second
)

// key is a client, as sessions are found by.
type key struct {
	client mmsg.Address
	local  [16]byte // address that it sends to, where the socket has several
}

// bind is one socket that clients send to. It belongs to its loop.
type bind struct {
	proxy  *Proxy
	lane   *lane
	socket mmsg.Socket
	again  func() // read, made once

	sessions map[key]*session
	timers   *wheel.Wheel[*session]
	base     time.Time
	idle     func() // stops the ticks; nil while there are none

	unwatch func()
	stopped bool
	closed  atomic.Bool
}

func newBind(p *Proxy, l *lane, s mmsg.Socket) *bind {
	b := &bind{proxy: p, lane: l, socket: s, sessions: make(map[key]*session)}
	b.again = b.read
	return b
}

// begin begins to read. It owns the socket, also when it fails.
func (b *bind) begin() (err error) {
	if b.lane.in == nil {
		b.lane.in, b.lane.out, b.lane.single = mmsg.NewReceiver(), mmsg.NewSender(), mmsg.NewSender()
	}
	b.base = b.lane.loop.Now()
	b.timers = wheel.New[*session](0)
	if b.unwatch, err = b.lane.loop.Watch(int(b.socket.FD), b.again); err != nil {
		b.socket.Close()
	}
	return err
}

// stop ends the reading. The socket is still there to send answers from.
func (b *bind) stop() {
	if b.stopped {
		return
	}
	b.stopped = true
	b.unwatch()
	b.closeUnused()
}

func (b *bind) closeUnused() {
	if b.stopped && len(b.sessions) == 0 && !b.closed.Swap(true) {
		b.socket.Close()
	}
}

// read takes what clients have sent.
func (b *bind) read() {
	for range turnBatches {
		if b.stopped {
			return
		}
		n, errno := b.lane.in.Receive(b.socket.FD)
		if errno == syscall.EAGAIN {
			return
		}
		if errno != 0 {
			continue // it is reported once, and what is behind it is still there
		}
		if b.deliver(n); n < mmsg.Size {
			return
		}
	}
	_ = b.lane.loop.Post(b.again) // else the loop has ended
}

// deliver sends the n messages of a batch to servers: those of one session in a row, in
// their order.
func (b *bind) deliver(n int) {
	l := b.lane
	now, count, bytes := l.loop.Now(), 0, 0
	for i := range n {
		local, segment := l.in.Control(i)
		size := len(l.in.Payload(i))
		count += datagrams(size, segment)
		bytes += size
		k := key{client: l.in.Peer(i)}
		if b.socket.Anywhere {
			k.local = local
		}
		if s := b.session(k, now, datagrams(size, segment)); s != nil {
			l.chain(s, int8(i))
		}
	}
	b.proxy.counts.in.Add(uint64(count))
	b.proxy.counts.bytesIn.Add(uint64(bytes))
	for i, s := range l.touched {
		l.touched[i] = nil
		s.forward(now)
	}
	l.touched = l.touched[:0]
}

// chain appends message i of the batch to those of s.
func (l *lane) chain(s *session, i int8) {
	l.next[i] = none
	if s.first == none {
		s.first = i
		l.touched = append(l.touched, s)
	} else {
		l.next[s.last] = i
	}
	s.last = i
}

// session returns the session of k, a new one if need be, or nil: then a message of n
// datagrams was dropped.
func (b *bind) session(k key, now time.Time, n int) *session {
	s := b.sessions[k]
	if s != nil && s.first == none && !s.server.Eligible(now) {
		// Nothing tells a client of UDP that its server is down. It gets another one.
		s.end(now, upstream.Neutral)
		s = nil
	}
	if s != nil {
		return s
	}
	s, why := b.open(k, now, nil)
	if s == nil {
		b.proxy.counts.drop(why, n)
	}
	return s
}

// revise takes in a new config.
func (b *bind) revise() {
	now, c := b.at(b.lane.loop.Now()), b.proxy.conf.Load()
	ready := make(map[*upstream.Server]bool)
	pools := make(map[string]*upstream.Pool)
	for _, share := range c.Pools {
		pools[share.Pool.Spec().Name] = share.Pool
		for _, s := range share.Pool.Servers() {
			ready[s] = s.State() == proxy.Ready
		}
	}
	for _, s := range b.sessions {
		if pool := pools[s.pool.Spec().Name]; pool != nil {
			s.pool = pool
		}
		if drain := s.pool.Spec().Drain; ready[s.server] {
			s.leaveBy = 0
		} else if s.leaveBy == 0 && drain > 0 {
			s.leaveBy = now + drain
		}
		b.setTimer(s)
	}
}

// cut ends all sessions.
func (b *bind) cut() {
	now := b.lane.loop.Now()
	for _, s := range b.sessions {
		s.end(now, upstream.Neutral)
	}
	b.closeUnused()
}

// patience returns how long a session may be silent; 0: for ever.
func (b *bind) patience() time.Duration {
	idle := b.proxy.conf.Load().Listener.Timeouts.Idle
	if b.proxy.draining.Load() && (idle == 0 || idle > quiet) {
		return quiet
	}
	return idle
}

// setTimer makes the timer of s expire when the session is to end, or before.
func (b *bind) setTimer(s *session) {
	due := s.due(b.at(b.lane.loop.Now()), b.patience())
	// The first tick that begins then or later: nothing ends early.
	b.timers.Set(&s.timer, int64(due+1<<tickShift-1)>>tickShift)
	if b.idle == nil {
		b.idle = b.lane.loop.Every(1<<tickShift, b.tick)
	}
}

// tick ends the sessions whose time is over. A timer is not moved with every datagram,
// but when it expires.
func (b *bind) tick() {
	clock := b.lane.loop.Now()
	now := b.at(clock)
	for t := b.timers.Pop(int64(now) >> tickShift); t != nil; t = b.timers.Pop(int64(now) >> tickShift) {
		if s := t.Owner; s.due(now, b.patience()) > now {
			b.setTimer(s)
		} else {
			s.end(clock, upstream.Neutral)
		}
	}
	if len(b.sessions) == 0 && b.idle != nil {
		b.idle()
		b.idle = nil
	}
}

// at returns t as sessions keep it.
func (b *bind) at(t time.Time) time.Duration { return t.Sub(b.base) }
