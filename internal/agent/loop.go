package agent

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/vrrp"
)

// lingerAtMost bounds how long a node that leaves keeps serving until its
// successor is heard, which comes after its skew: less than one interval. With
// intervals of more than a few seconds a stop has a gap.
const lingerAtMost = 2500 * time.Millisecond

// group is where advertisements are sent (RFC 9568, section 5.1.1.2).
var group = netip.AddrFrom4([4]byte{224, 0, 0, 18})

// reportEvery is how often the supervisor hears from the agent without a change.
const reportEvery = time.Second

// renewalsPerLease is how often a lease is renewed while it lasts.
const renewalsPerLease = 4

// loop is the heartbeat: one goroutine that owns the virtual routers, with one
// timer, and one reading of the clock in each turn. It waits for nothing but
// its next event: addresses are set by the owner, reports are sent by the
// reporter, and neither is ever waited for.
type loop struct {
	host     Host
	owner    *owner
	reporter *reporter

	instances []*instance
	sockets   map[string]*sharedSocket // by interface
	opening   map[string]bool          // by interface
	openedC   chan opened
	tasks     sync.WaitGroup // opening and closing of sockets
	readableC chan *sharedSocket
	linksC    chan Link
	goneC     chan gone
	links     map[string]Link // newest word, by interface

	watch    peerWatch
	fit      ipc.Fitness
	leaving  bool
	lateness time.Duration
	reportAt time.Time
	changed  bool // something to report
	drops    map[vrrp.Drop]uint64
	buf      []byte
}

func newLoop(h Host, o *owner, r *reporter) *loop {
	return &loop{
		host: h, owner: o, reporter: r,
		sockets:   map[string]*sharedSocket{},
		opening:   map[string]bool{},
		openedC:   make(chan opened),
		readableC: make(chan *sharedSocket),
		linksC:    make(chan Link, 16),
		goneC:     make(chan gone, 64),
		links:     map[string]Link{},
		drops:     map[vrrp.Drop]uint64{},
		fit:       ipc.Fitness{Reason: "the supervisor has not said yet that this node is fit"},
		buf:       make([]byte, maxPacket),
	}
}

// run turns until the node has left. A message channel that is closed means
// that the supervisor is dead: the node leaves at once.
func (l *loop) run(ctx context.Context, messages <-chan ipc.ToAgent) error {
	ctx, cancel := context.WithCancel(ctx)
	defer l.closeSockets()
	defer l.watch.end()
	defer cancel() // first, so that nothing waits for the loop any more
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		deadline := l.next(time.Now())
		timer.Reset(time.Until(deadline))
		var readable *sharedSocket
		var event func(now time.Time)
		select {
		case <-ctx.Done():
			l.leave(time.Now(), "the agent stops", 0)
			return ctx.Err()
		case <-timer.C:
		case readable = <-l.readableC:
		case o := <-l.openedC:
			event = func(now time.Time) { l.opened(ctx, now, o) }
		case k := <-l.linksC:
			event = func(time.Time) { l.link(k) }
		case g := <-l.goneC:
			event = func(now time.Time) { l.gone(now, g) }
		case f := <-l.owner.factsC:
			event = func(now time.Time) { l.fact(now, f) }
		case e := <-l.watch.events():
			event = func(now time.Time) { l.peer(now, e) }
		case m, ok := <-messages:
			if !ok {
				messages = nil
				event = func(now time.Time) { l.leave(now, "the supervisor is gone", 0) }
				break
			}
			event = func(now time.Time) { l.message(ctx, now, m) }
		}
		now := time.Now()
		l.lateness = max(l.lateness, now.Sub(deadline))
		if event != nil {
			event(now)
		}
		l.turn(ctx, now)
		if readable != nil {
			readable.resume <- struct{}{} // capacity 1, and one readable at a time
		}
		if l.left() {
			l.report(now)
			return nil
		}
	}
}

// turn judges what has arrived, and only then what is overdue.
func (l *loop) turn(ctx context.Context, now time.Time) {
	var arrived []heard
	for _, s := range l.sockets {
		arrived = l.drain(s, arrived)
	}
	for _, h := range newest(arrived) {
		l.watch.heard(h.from, now)
		l.apply(now, h.in, h.in.vr.Receive(now, h.from, h.adv))
	}
	for _, in := range l.instances {
		if next := in.vr.Next(); !next.IsZero() && !now.Before(next) {
			l.apply(now, in, in.vr.Tick(now))
		}
		l.keep(now, in)
		l.admit(ctx, now, in)
	}
	if l.changed || !now.Before(l.reportAt) {
		l.report(now)
	}
}

// drain empties a socket.
func (l *loop) drain(s *sharedSocket, arrived []heard) []heard {
	for range maxDrain {
		n, ok, err := s.TryRead(l.buf)
		if err != nil {
			l.socketFailed(s, err)
			return arrived
		}
		if !ok {
			return arrived
		}
		arrived = l.judge(s, l.buf[:n], arrived)
	}
	return arrived
}

// judge appends the advertisement in b if one of our virtual routers accepts it.
func (l *loop) judge(s *sharedSocket, b []byte, arrived []heard) []heard {
	p, err := vrrp.ParseIPv4(b)
	if err != nil {
		l.drops[vrrp.DropOf(err)]++
		return arrived
	}
	vrid, ok := vrrp.PeekVRID(p.Payload)
	if !ok {
		l.drops[vrrp.DropLength]++
		return arrived
	}
	for _, in := range l.instances {
		if in.sock != s || in.cfg.Params.VRID != vrid {
			continue
		}
		adv, err := in.vr.Accept(p)
		if err != nil {
			return arrived // counted by the router, by reason
		}
		return append(arrived, heard{in: in, from: p.Source, adv: adv})
	}
	l.drops[vrrp.DropVRID]++
	return arrived
}

// apply does what the election asks, in the order that RFC 9568 and a quick
// takeover want: advertise, then set the addresses, then announce them, then
// tell the others.
func (l *loop) apply(now time.Time, in *instance, out vrrp.Output) {
	for _, a := range out.Send {
		l.send(now, in, a)
	}
	holds := in.vr.Holds()
	switch {
	case holds && !in.want.hold && in.sendErr != nil:
		// Nobody heard the claim: another node that holds the addresses goes on,
		// and there would be two. keep is not asked; admit stops the router.
		in.holdErr, in.holdUntil = in.sendErr, now.Add(reopenEvery)
	case holds && !in.want.hold:
		l.claim(now, in)
	case !holds && in.want.hold:
		in.want.hold = false
		in.want.generation++
		in.held = fact{}
		l.owner.set(in.want)
	case holds && out.Announce:
		l.changed = in.announce(now) || l.changed // by keep, in this turn
	}
	if c := out.Change; c != nil {
		l.changed = true
		l.reporter.log("info", "role changed", evidence(in.cfg.Name, c))
	}
}

// evidence is all that is known of a role change, for the log.
func evidence(name string, c *vrrp.Change) map[string]any {
	fields := map[string]any{
		"vip": name, "from": c.From.String(), "to": c.To.String(), "reason": string(c.Reason), "priority": c.Priority,
	}
	if c.Peer.IsValid() {
		fields["peer"], fields["peerPriority"] = c.Peer.String(), c.PeerPriority
	}
	return fields
}

// claim has the addresses set and announced at once.
func (l *loop) claim(now time.Time, in *instance) {
	in.want.hold = true
	in.want.generation++
	in.held = fact{}
	in.claimedAt = now
	in.renewAt = now.Add(in.cfg.Lease / renewalsPerLease)
	if !in.announce(now) {
		in.burst.start(now) // a takeover is announced in any case
	}
	in.burst.due(now, 0)
	in.want.announce++
	l.owner.set(in.want)
}

func (l *loop) send(now time.Time, in *instance, a vrrp.Advert) {
	if in.sock == nil {
		return
	}
	p := in.vr.Params()
	payload, err := a.Append(nil, vrrp.Header{Source: p.Self, Destination: group}, in.vr.Checksum())
	if err == nil {
		err = in.sock.Send(payload)
	}
	if (err == nil) != (in.sendErr == nil) {
		l.changed = true
		if err != nil {
			in.sendSince = now
			l.reporter.log("warn", "cannot advertise", map[string]any{"vip": in.cfg.Name, "error": err.Error()})
		}
	}
	in.sendErr = err
}

// keep renews the lease, announces what is due, and gives up addresses that
// cannot be held.
func (l *loop) keep(now time.Time, in *instance) {
	if !in.want.hold {
		return
	}
	if err := in.failed(now); err != nil {
		in.holdErr, in.holdUntil, in.sendErr = err, now.Add(holdDown), nil // admit stops the router
		l.reporter.log("error", "yielding: the addresses cannot be held", map[string]any{
			"vip": in.cfg.Name, "error": err.Error(), "retryIn": holdDown.String()})
		return
	}
	before := in.want
	if !now.Before(in.renewAt) {
		in.want.renewal++
		in.renewAt = now.Add(in.cfg.Lease / renewalsPerLease)
	}
	if in.holds() && in.burst.due(now, rand.Float64()) {
		in.want.announce++
	}
	if in.want.renewal != before.renewal || in.want.announce != before.announce {
		l.owner.set(in.want)
	}
}

// admit lets the virtual router take part in the election, or keeps it out.
func (l *loop) admit(ctx context.Context, now time.Time, in *instance) {
	if l.leaving {
		return
	}
	if in.sock == nil && !now.Before(in.reopenAt) {
		l.open(ctx, in)
	}
	if !in.sweepAt.IsZero() && !now.Before(in.sweepAt) {
		in.sweepAt = time.Time{}
		l.owner.set(in.want)
	}
	if !now.Before(in.holdUntil) {
		in.holdUntil = time.Time{} // it is over, and no deadline any more
	}
	reason := in.blocked(now, l.fit)
	switch {
	case reason == "" && !in.started:
		in.started = true
		l.apply(now, in, in.vr.SetPriority(now, in.priority(l.fit)))
		l.apply(now, in, in.vr.Startup(now))
	case reason != "" && in.started:
		in.started = false
		l.apply(now, in, in.vr.Shutdown(now, vrrp.Leave{Reason: vrrp.Reason(reason)}))
	}
}

// link takes note of a change of carrier. A link that comes up brings its
// virtual routers back as Backup: whoever is Active now keeps the address until
// the election says otherwise.
func (l *loop) link(k Link) {
	old, known := l.links[k.Name]
	l.links[k.Name] = k
	if s := l.sockets[k.Name]; s != nil && known && old.Index != k.Index {
		l.socketFailed(s, errors.New("another interface has taken its name"))
	}
	for _, in := range l.instances {
		if in.cfg.Interface == k.Name {
			in.linkDown = !k.Up
			l.changed = true
		}
	}
}

// fact takes the word of the owner about the addresses of one router.
func (l *loop) fact(now time.Time, f fact) {
	for _, in := range l.instances {
		if in.cfg.Name != f.name || in.want.generation != f.generation {
			continue // about a claim that is over
		}
		if !in.swept {
			l.swept(now, in, f)
			continue
		}
		if f.added && in.held.held {
			in.announce(now) // the neighbours may have learned another owner
		}
		if f.err != nil && (in.held.err == nil || in.held.err.Error() != f.err.Error()) {
			l.reporter.log("error", "addresses", map[string]any{"vip": f.name, "error": f.err.Error()})
		}
		l.changed = l.changed || f.held != in.held.held || (f.err == nil) != (in.held.err == nil)
		in.held = f
	}
}

// swept takes the answer to the first want of a router, which holds nothing.
func (l *loop) swept(now time.Time, in *instance, f fact) {
	for _, address := range f.swept {
		l.reporter.log("warn", "removed an address that an earlier process left behind", map[string]any{"vip": f.name, "address": address})
	}
	if f.err != nil && (in.sweepErr == nil || in.sweepErr.Error() != f.err.Error()) {
		l.reporter.log("error", "cannot take part in the election", map[string]any{"vip": f.name, "error": f.err.Error()})
	}
	in.swept, in.sweepErr, in.sweepAt = f.err == nil, f.err, time.Time{}
	if f.err != nil {
		in.sweepAt = now.Add(reopenEvery)
	}
	l.changed = true
}

// gone has an address set again that somebody removed. Renewals are the limit
// when it keeps disappearing.
func (l *loop) gone(now time.Time, g gone) {
	for _, in := range l.instances {
		if in.cfg.Interface != g.ifname || !slices.Contains(in.cfg.Prefixes, g.prefix) || !in.holds() {
			continue
		}
		again := in.healer.Allow(now)
		l.reporter.log("warn", "an address was removed by someone else", map[string]any{
			"vip": in.cfg.Name, "interface": g.ifname, "address": g.prefix.String(), "setAgainNow": again})
		if again {
			in.renewAt = now
		}
	}
}

// fitness takes the supervisor's word about the node. Whether a router takes part
// is for admit to say; here its priority follows. A node that is demoted resigns,
// because its peer may be one that does not preempt.
func (l *loop) fitness(now time.Time, fit ipc.Fitness) {
	demoted := fit.Demoted && !l.fit.Demoted
	l.fit = fit
	l.changed = true
	for _, in := range l.instances {
		if !in.started {
			continue
		}
		if demoted && in.vr.Status().Role == vrrp.Active {
			l.apply(now, in, in.vr.Shutdown(now, vrrp.Leave{Reason: vrrp.Reason(fit.Reason)}))
			in.started = false // admit starts it anew
			continue
		}
		l.apply(now, in, in.vr.SetPriority(now, in.priority(fit)))
	}
}

// foreign takes note of an announcement of another node in epoch above.
func (l *loop) foreign(now time.Time, in *instance, above uint64) {
	l.changed = l.changed || above > in.heard
	in.heard = max(in.heard, above)
	if in.want.hold && in.heard >= in.epoch && in.announce(now) {
		l.changed = true
		l.reporter.log("info", "announcing again: another node announced the addresses last", map[string]any{
			"vip": in.cfg.Name, "epoch": above})
	}
}

func (l *loop) message(ctx context.Context, now time.Time, m ipc.ToAgent) {
	switch {
	case m.Config != nil:
		l.configure(now, m.Config.Routers)
		l.watch.begin(ctx, l.host, m.Config.Notice)
	case m.Fitness != nil:
		l.fitness(now, *m.Fitness)
	case m.Announce != nil:
		for _, in := range l.instances {
			if in.cfg.Name == m.Announce.Router {
				l.foreign(now, in, m.Announce.Above)
			}
		}
	case m.Leave != nil:
		l.leave(now, "leaving", lingerAtMost)
	}
}

// leave ends the part of this node in every election. With a linger the node
// keeps its addresses, and serves, until the successor is heard.
func (l *loop) leave(now time.Time, reason vrrp.Reason, linger time.Duration) {
	l.leaving = true
	l.watch.goodbye(string(reason))
	for _, in := range l.instances {
		// Long enough for the successor even if the resignation is lost.
		wait := min(linger, 4*in.vr.Status().Interval+50*time.Millisecond)
		l.apply(now, in, in.vr.Shutdown(now, vrrp.Leave{Reason: reason, Linger: wait}))
		in.started = false
		in.holdUntil, in.sweepAt, in.reopenAt = time.Time{}, time.Time{}, time.Time{}
	}
}

// left reports whether the node has left every election and no successor is
// awaited. The owner removes the addresses when it is stopped.
func (l *loop) left() bool {
	if !l.leaving {
		return false
	}
	for _, in := range l.instances {
		if in.vr.Holds() {
			return false
		}
	}
	return true
}

// next returns when the next turn is due.
func (l *loop) next(now time.Time) time.Time {
	next := l.reportAt
	for _, in := range l.instances {
		if t := in.next(); !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	if next.Before(now) {
		return now
	}
	return next
}

func (l *loop) report(now time.Time) {
	state := &ipc.AgentState{Lateness: l.lateness, Notice: l.watch.word, Dropped: maps.Clone(l.drops)}
	for _, in := range l.instances {
		state.Routers = append(state.Routers, in.state(now, l.fit))
	}
	l.reporter.state(state)
	l.changed, l.lateness, l.reportAt = false, 0, now.Add(reportEvery)
}
