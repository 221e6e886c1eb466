package agent

import (
	"maps"
	"net/netip"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/ownership"
	"github.com/tandemlb/tandem/proxy/stats"
	"github.com/tandemlb/tandem/vrrp"
)

// lingerAtMost bounds how long a node that leaves keeps serving until its
// successor is heard, which comes after its skew: less than one interval. With
// intervals of more than a few seconds a stop has a gap.
const lingerAtMost = 2500 * time.Millisecond

// reportEvery is how often the supervisor hears from the agent without a change.
const reportEvery = time.Second

// renewalsPerLease is how often a lease is renewed while it lasts.
const renewalsPerLease = 4

// maxPacket is larger than any VRRP packet: 60 bytes of IP header, 8 of VRRP,
// 255 addresses.
const maxPacket = 60 + 8 + 255*16

// maxDrain bounds the packets judged in one step, so that a flood cannot keep the
// node from sending. At 10 ms it is ten seconds of one peer's adverts.
const maxDrain = 1024

// core is what a node's heartbeat decides: the virtual routers, and all that
// bears on them. It has no clock, no goroutine, and waits for nothing. The loop
// calls step for every event; a simulation can do the same.
type core struct {
	out outside

	instances []*instance
	groups    []*group
	together  []*group // of them, those of several members
	sockets   []*openSocket
	opening   map[SocketOptions]bool
	links     map[string]linkState // newest word, by interface
	gateways  map[GatewayOptions]gatewayState
	pacer     pacer

	watch    *peerWatch
	fit      ipc.Fitness
	leaving  bool
	deadline time.Time // of the step that is awaited
	lateness time.Duration
	delays   stats.Histogram
	slept    ipc.Sleep
	reportAt time.Time
	changed  bool // something to report
	drops    map[vrrp.Drop]uint64
	buf      []byte
	arrived  []heard // of one step; kept to be used again
	claims   []sight // of one step, as well
}

// outside is what the core has done for it, none of which it waits for.
type outside struct {
	sockets  opener
	owner    keeper
	reporter teller
	watches  watcher
	jitter   func() float64 // in [0,1)
}

// opener opens and closes sockets; the outcome of open comes back as opened.
type opener interface {
	open(SocketOptions)
	close(Socket)
}

// keeper sets addresses, and sends what is to be said of them. What became of a
// want comes back as a fact.
type keeper interface {
	Set(ownership.Want)
	Emit(ownership.Emission)
}

// teller tells the supervisor.
type teller interface {
	state(*ipc.AgentState)
	log(level, message string, fields map[string]any)
	role(level, message string, evidence map[string]any) // log, of a change of role
}

// watcher watches exactly these gateways and claims from now on; what it sees
// comes back as gateway and claimed.
type watcher interface {
	want([]GatewayOptions, []ClaimOptions)
}

// openSocket is a socket with what it was opened for.
type openSocket struct {
	Socket
	options SocketOptions
}

type linkState struct {
	Link
	since time.Time // when it went down, or came up
}

type gatewayState struct {
	lost  bool
	since time.Time // when it was lost
}

func newCore(o outside, w *peerWatch) *core {
	return &core{
		out: o, watch: w,
		opening:  map[SocketOptions]bool{},
		links:    map[string]linkState{},
		gateways: map[GatewayOptions]gatewayState{},
		drops:    map[vrrp.Drop]uint64{},
		fit:      ipc.Fitness{Reason: "the supervisor has not said yet that this node is fit"},
		buf:      make([]byte, maxPacket),
	}
}

// step takes in an event, if there is one, then what has arrived, and only then
// judges what is overdue. It returns when the next step is due.
func (c *core) step(now time.Time, event func(now time.Time)) time.Time {
	c.noteLateness(now)
	if event != nil {
		event(now)
	}
	c.arrived = c.arrived[:0]
	for _, s := range c.sockets {
		c.drain(now, s)
	}
	for _, h := range newest(c.arrived) {
		c.watch.heard(h, now)
		c.apply(now, h.in, h.in.vr.Receive(now, h.from, h.adv))
	}
	for _, in := range c.instances {
		if next := in.vr.Next(); !next.IsZero() && !now.Before(next) {
			c.apply(now, in, in.vr.Tick(now))
		}
	}
	c.settle(now)
	// Only now is it known whose the addresses are: after a stall they may be a
	// successor's, who says so.
	for _, s := range c.claims {
		c.claimed(now, s.ifname, s.claim)
	}
	c.claims = c.claims[:0]
	for _, in := range c.instances {
		c.keep(now, in)
	}
	c.admit(now)
	c.pacer.take(now, c.emit)
	if c.changed || !now.Before(c.reportAt) {
		c.report(now)
	}
	c.deadline = c.next(now)
	return c.deadline
}

// noteLateness measures how late the step is, forgives the owner of the addresses
// what it could not do meanwhile, and publishes a stall that made a virtual router of
// this node assume that its peer has taken over.
func (c *core) noteLateness(now time.Time) {
	if c.deadline.IsZero() {
		return
	}
	late := now.Sub(c.deadline)
	if late >= 0 { // else an event came first
		c.delays.Observe(late)
	}
	c.lateness = max(c.lateness, late)
	for _, in := range c.instances {
		if late >= in.cfg.Lease/renewalsPerLease {
			in.awake = now
		}
	}
	if late < 3*vrrp.MinInterval {
		return
	}
	for _, in := range c.instances {
		if next := in.vr.Next(); next.IsZero() || now.Sub(next) <= downInterval(in.vr.Status()) {
			continue
		}
		c.slept = ipc.Sleep{At: now, For: late, Count: c.slept.Count + 1}
		c.changed = true
		c.out.reporter.log("warn", "this node was not run for a while: what its peers did meanwhile decides", map[string]any{
			"for": late.Round(time.Millisecond).String()})
		return
	}
}

// downInterval returns Active_Down_Interval (RFC 9568, section 6.1).
func downInterval(s vrrp.Status) time.Duration {
	return 3*s.Interval + time.Duration(256-int(s.Priority))*s.Interval/256
}

// drain empties a socket.
func (c *core) drain(now time.Time, s *openSocket) {
	for range maxDrain {
		p, ok, err := s.TryRead(c.buf)
		if drop := vrrp.DropOf(err); drop != "" {
			c.drops[drop]++
			continue
		}
		if err != nil {
			c.socketFailed(now, s, err)
			return
		}
		if !ok {
			return
		}
		c.judge(s, p)
	}
}

// judge keeps the advertisement in p if one of our virtual routers accepts it.
func (c *core) judge(s *openSocket, p vrrp.Packet) {
	vrid, ok := vrrp.PeekVRID(p.Payload)
	if !ok {
		c.drops[vrrp.DropLength]++
		return
	}
	known := false
	for _, in := range c.instances {
		if in.cfg.Params.VRID != vrid || in.socket.Interface != s.options.Interface || in.cfg.Params.Self.Is4() != s.options.Self.Is4() {
			continue
		}
		known = true // if on another socket, it is read there
		if in.sock != s {
			continue
		}
		if adv, err := in.vr.Accept(p); err == nil { // else counted by the router, by reason
			c.arrived = append(c.arrived, heard{in: in, from: p.Source, adv: adv})
		}
		return
	}
	if !known {
		c.drops[vrrp.DropVRID]++
	}
}

// heard is an accepted advertisement.
type heard struct {
	in   *instance
	from netip.Addr
	adv  vrrp.Advert
}

// newest drops every advertisement that the same router has followed up with
// another: after a stall a queue of old ones says nothing about now. It works in
// place.
func newest(all []heard) []heard {
	if len(all) < 2 {
		return all
	}
	kept := len(all) // all[kept:] is what stays
	for i := len(all) - 1; i >= 0; i-- {
		followed := false
		for _, later := range all[kept:] {
			if later.in == all[i].in && later.from == all[i].from {
				followed = true
				break
			}
		}
		if !followed {
			kept--
			all[kept] = all[i]
		}
	}
	return all[kept:]
}

// left reports whether the node has left every election and no successor is
// awaited. The owner removes the addresses when it is stopped.
func (c *core) left() bool {
	if !c.leaving {
		return false
	}
	for _, in := range c.instances {
		if in.vr.Holds() {
			return false
		}
	}
	return true
}

// next returns when the next step is due.
func (c *core) next(now time.Time) time.Time {
	next := c.reportAt
	if t := c.pacer.next(); !t.IsZero() && t.Before(next) {
		next = t
	}
	for _, in := range c.instances {
		if t := in.next(); !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	if next.Before(now) {
		return now
	}
	return next
}

func (c *core) report(now time.Time) {
	state := &ipc.AgentState{Lateness: c.lateness, Notice: c.watch.word, PeerDied: c.watch.died, Slept: c.slept, Dropped: maps.Clone(c.drops), Delays: c.delays.Distribution(),
		Routers: make([]ipc.RouterState, 0, len(c.instances))}
	for _, in := range c.instances {
		s := in.state(now, c.fit)
		s.Lost = c.lost(in)
		state.Routers = append(state.Routers, s)
	}
	c.out.reporter.state(state)
	c.changed, c.lateness, c.reportAt = false, 0, now.Add(reportEvery)
}
