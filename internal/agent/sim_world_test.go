package agent

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/judge"
	"github.com/tandemlb/tandem/internal/notice"
	"github.com/tandemlb/tandem/internal/ownership"
	"github.com/tandemlb/tandem/internal/peer"
	"github.com/tandemlb/tandem/vrrp"
)

// world is whole nodes on one link, in simulated time: the heartbeat and the owner
// of the addresses are the real ones, turned without a goroutine; the kernel, the
// link, a third host on it and the gossip between the nodes are made up. What
// happens follows from the schedule and the seed alone.
type world struct {
	now   time.Time
	rng   *rand.Rand
	queue timeline
	nodes []*simNode
	bug   bug

	delay     time.Duration // greatest of a packet
	loss, dup float64
	cut       [3][3]bool // from, to: advertisements
	gossipCut bool
	arena     []byte // where packets are written, and never again

	believed int // whose MAC address the third host has for the VIP; -1: none
	judge    simJudge
	log      []string
	logging  bool
}

// bug is a fault that is built in on purpose, to see that it is found.
type bug int

const (
	sound        bug = iota
	noReannounce     // addresses are announced at the takeover alone
	tieIgnored       // each of two equals believes that it won
	noRenewal        // leases are not renewed
)

// after has something done later.
func (w *world) after(d time.Duration, do func()) {
	w.queue.push(w.now.Add(d).Sub(simStart), event{do: do})
}

// run lets time pass until end, or until something is wrong.
func (w *world) run(end time.Duration) {
	for w.judge.err == nil {
		at, e, ok := w.queue.pop(end)
		if !ok {
			break
		}
		w.now = simStart.Add(at)
		switch {
		case e.do != nil:
			e.do()
		case e.packet.Payload != nil:
			e.node.arrives(e.run, e.packet)
		default:
			e.node.wakes(e.run, at)
		}
		w.judge.look(w)
	}
	w.now = simStart.Add(end)
	w.judge.look(w)
}

func (w *world) logf(format string, args ...any) {
	if w.logging {
		w.log = append(w.log, fmt.Sprintf("%9.4fs  ", w.now.Sub(simStart).Seconds())+fmt.Sprintf(format, args...))
	}
}

func (w *world) chance(p float64) bool { return p > 0 && w.rng.Float64() < p }

func (w *world) upTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(w.rng.Int64N(int64(d)))
}

// simNode is a host with its node. Its kernel outlives the node's process.
type simNode struct {
	w       *world
	index   int
	routers []ipc.Router
	kernel  []simAddress
	wall    time.Duration // by which its clock is wrong
	idle    time.Time     // since when it has addresses and does not run

	// Of the process; run counts them, so that what was begun for one does not reach
	// the next.
	run      int
	alive    bool
	started  time.Time   // by its clock
	said     *peer.State // newest
	core     *core
	owner    *ownership.Owner
	views    []peer.View // by index of the node
	own      []ipc.RouterState
	inbox    []vrrp.Packet
	waiting  []func(now time.Time) // events that arrived while it was stalled
	wake     time.Duration         // when the core wants its next step
	alarm    time.Duration         // when the node is woken for it; 0: never
	working  bool                  // the owner is about to work
	sent     rate                  // advertisements
	stalled  bool
	fit      bool
	linkDown bool
}

// simAddress is an address that a kernel may have.
type simAddress struct {
	prefix  netip.Prefix
	expires time.Time // zero: the kernel does not have it
}

func (w *world) add(routers []ipc.Router) {
	n := &simNode{w: w, index: len(w.nodes), routers: routers}
	for _, r := range routers {
		for _, p := range r.Prefixes {
			n.kernel = append(n.kernel, simAddress{prefix: p})
		}
	}
	w.nodes = append(w.nodes, n)
}

// start starts the node's process.
func (n *simNode) start() {
	if n.alive {
		return
	}
	n.w.logf("%s: start", n)
	n.run++
	n.alive, n.stalled, n.linkDown, n.inbox, n.waiting, n.working, n.alarm = true, false, false, nil, nil, false, 0
	n.started, n.said, n.views = n.w.now.Add(n.wall), nil, make([]peer.View, len(n.w.nodes))
	n.owner = ownership.New(ownership.Host{
		Sweep: n.sweep, Addresses: n, SweepMacvlans: func() ([]string, error) { return nil, nil },
		DialAnnouncer: func(ownership.LinkOptions) (ownership.Announcer, error) { return simAnnouncer{n}, nil },
	})
	watch := &peerWatch{}
	if len(n.w.nodes) == 2 {
		watch.peer = n.w.nodes[1-n.index].routers[0].Params.Self
	}
	n.core = newCore(outside{sockets: n, owner: n, reporter: n, watches: nowhere{}, jitter: n.w.rng.Float64}, watch)
	n.tell(func(now time.Time) { n.core.configure(now, n.routers) })
	n.fit = true
	n.tell(func(now time.Time) { n.core.fitness(now, ipc.Fitness{Fit: true}) })
}

func (n *simNode) String() string { return string(rune('a' + n.index)) }

// end ends the process without a word. On a host that lives, its kernel tells.
func (n *simNode) end(hostDies bool) {
	if !n.alive {
		return
	}
	n.w.logf("%s: crash, host dies: %v", n, hostDies)
	n.alive = false
	n.run++
	if hostDies || len(n.w.nodes) != 2 {
		return
	}
	other := n.w.nodes[1-n.index]
	if n.w.cut[n.index][other.index] || n.w.cut[other.index][n.index] || n.w.gossipCut {
		return
	}
	run, mine := other.run, n.run
	n.w.after(time.Millisecond+n.w.upTo(4*time.Millisecond), func() {
		if other.run == run && other.alive && n.run == mine {
			other.tell(func(now time.Time) { other.core.peer(now, notice.Event{Kind: notice.Died, Evidence: "simulated"}) })
		}
	})
}

// tell has the process take in an event, now or when it runs again.
func (n *simNode) tell(event func(now time.Time)) {
	switch {
	case !n.alive:
	case n.stalled:
		n.waiting = append(n.waiting, event)
	default:
		n.step(event)
	}
}

func (n *simNode) step(word func(now time.Time)) {
	next := n.core.step(n.w.now, word).Sub(simStart)
	if n.core.left() {
		n.w.logf("%s: left", n)
		n.alive = false
		n.run++
		n.forget()
		return
	}
	n.wake = next
	if n.alarm == 0 || next < n.alarm {
		n.setAlarm()
	}
}

// setAlarm has the node wake when its core asked for it. An alarm that comes too
// soon, because there was news meanwhile, is set anew when it goes off.
func (n *simNode) setAlarm() {
	n.alarm = n.wake
	n.w.queue.push(n.wake, event{node: n, run: n.run})
}

// wakes is an alarm of the node that goes off.
func (n *simNode) wakes(run int, at time.Duration) {
	switch {
	case n.run != run || n.alarm != at || n.stalled:
	case at < n.wake:
		n.setAlarm()
	default:
		n.alarm = 0
		n.step(nil)
	}
}

// arrives is a packet at the node's socket.
func (n *simNode) arrives(run int, p vrrp.Packet) {
	if n.run != run || !n.alive || n.linkDown {
		return
	}
	if len(n.inbox) < 2048 {
		n.inbox = append(n.inbox, p)
	}
	if !n.stalled {
		n.step(nil)
	}
}

func (n *simNode) stall() {
	n.w.logf("%s: stalls", n)
	n.stalled = true
}

func (n *simNode) resume() {
	if !n.alive || !n.stalled {
		return
	}
	n.w.logf("%s: runs again", n)
	n.stalled, n.alarm = false, 0
	events := n.waiting
	n.waiting = nil
	n.step(nil)
	for _, e := range events {
		n.tell(e)
	}
	n.work()
}

// has reports whether the host's kernel has all the node's addresses.
func (n *simNode) has() bool {
	for i := range n.kernel {
		if !n.w.now.Before(n.kernel[i].expires) {
			return false
		}
	}
	return true
}

// forget has the kernel lose all addresses.
func (n *simNode) forget() {
	for i := range n.kernel {
		n.kernel[i].expires = time.Time{}
	}
}

// What the core asks for.

func (n *simNode) open(o SocketOptions) {
	run := n.run
	n.w.after(time.Millisecond, func() {
		if n.run == run {
			n.tell(func(now time.Time) { n.core.opened(now, opened{options: o, conn: simSocket{n, o}}) })
		}
	})
}

func (n *simNode) close(Socket) {}

func (n *simNode) Set(want ownership.Want) {
	if n.w.bug == noRenewal {
		want.Renewal = 0
	}
	n.owner.Set(want)
	n.work()
}

func (n *simNode) Emit(e ownership.Emission) {
	if n.w.bug == noReannounce && n.w.now.Sub(n.core.instances[0].claimedAt) > 10*time.Millisecond {
		return
	}
	n.owner.Emit(e)
	n.work()
}

func (n *simNode) state(*ipc.AgentState) {}

func (n *simNode) log(_, message string, fields map[string]any) {
	if n.w.logging {
		n.w.logf("%s: %s %v", n, message, fields)
	}
}

func (n *simNode) role(level, message string, evidence map[string]any) {
	n.log(level, message, evidence)
}

// work has the owner work soon: netlink takes its time, and sometimes long.
func (n *simNode) work() {
	if n.working {
		return
	}
	n.working = true
	latency := n.w.upTo(2 * time.Millisecond)
	if n.w.chance(0.002) {
		latency = n.w.upTo(simNetlink)
	}
	run := n.run
	n.w.after(latency, func() {
		if n.run != run {
			return
		}
		n.working = false
		if n.stalled {
			return // resume goes on
		}
		for _, f := range n.owner.Work(func() time.Time { return n.w.now }) {
			n.tell(func(now time.Time) { n.core.fact(now, f) })
		}
	})
}

// Its kernel.

func (n *simNode) address(p netip.Prefix) *simAddress {
	for i := range n.kernel {
		if n.kernel[i].prefix == p {
			return &n.kernel[i]
		}
	}
	panic("no such address: " + p.String())
}

func (n *simNode) Hold(_ string, p netip.Prefix, lease time.Duration) (bool, error) {
	a := n.address(p)
	added := !n.w.now.Before(a.expires)
	a.expires = n.w.now.Add(lease)
	if added {
		n.w.logf("%s: has %s", n, p)
	}
	return added, nil
}

func (n *simNode) Release(_ string, p netip.Prefix) error {
	n.w.logf("%s: lets %s go", n, p)
	n.address(p).expires = time.Time{}
	return nil
}

func (n *simNode) sweep(prefixes []netip.Prefix) ([]string, error) {
	for _, p := range prefixes {
		n.address(p).expires = time.Time{}
	}
	return nil, nil
}

// simAnnouncer speaks to the third host, which believes whoever spoke last.
type simAnnouncer struct{ n *simNode }

func (a simAnnouncer) Announce(netip.Addr) error {
	if a.n.linkDown {
		return nil
	}
	a.n.w.judge.announced(a.n)
	a.n.w.believed = a.n.index
	return nil
}

func (a simAnnouncer) Probe(netip.Addr) error { return nil }
func (a simAnnouncer) Close() error           { return nil }

// simSocket is a node's socket on the link.
type simSocket struct {
	n *simNode
	o SocketOptions
}

func (s simSocket) Close() error { return nil }

func (s simSocket) TryRead([]byte) (vrrp.Packet, bool, error) {
	for i, p := range s.n.inbox {
		if p.Source.Is4() == s.o.Self.Is4() {
			s.n.inbox = append(s.n.inbox[:i], s.n.inbox[i+1:]...)
			return p, true, nil
		}
	}
	return vrrp.Packet{}, false, nil
}

func (s simSocket) Send(payload []byte, to netip.Addr) error {
	w := s.n.w
	if s.n.linkDown {
		return nil
	}
	w.judge.advertised(s.n)
	p := vrrp.Packet{Header: vrrp.Header{Source: s.o.Self, Destination: to}, TTL: 255, Payload: w.keep(payload)}
	for _, other := range w.nodes {
		if other == s.n || !other.alive || other.linkDown || w.cut[s.n.index][other.index] || w.chance(w.loss) {
			continue
		}
		w.deliver(other, p)
		if w.chance(w.dup) {
			w.deliver(other, p)
		}
	}
	return nil
}

// keep copies b to where it stays.
func (w *world) keep(b []byte) []byte {
	if cap(w.arena)-len(w.arena) < len(b) {
		w.arena = make([]byte, 0, 64<<10)
	}
	begin := len(w.arena)
	w.arena = append(w.arena, b...)
	return w.arena[begin:len(w.arena):len(w.arena)]
}

// deliver has a packet arrive, later or sooner than others.
func (w *world) deliver(to *simNode, p vrrp.Packet) {
	if w.bug == tieIgnored {
		p = to.disdain(p)
	}
	at := w.now.Sub(simStart) + 100*time.Microsecond + w.upTo(w.delay)
	w.queue.push(at, event{node: to, run: to.run, packet: p})
}

// disdain has an advertisement of the node's own priority come from an address below
// every node's, so that who compares thinks that it has the higher one.
func (n *simNode) disdain(p vrrp.Packet) vrrp.Packet {
	own := n.core.instances
	if !p.Source.Is4() || len(own) == 0 || own[0].cfg.Params.Priority != p.Payload[2] {
		return p
	}
	adv, _, err := vrrp.ParseAdvert(p.Payload, p.Header)
	if err != nil {
		return p
	}
	from := p.Source.As4()
	from[3] -= 10
	p.Source = netip.AddrFrom4(from)
	p.Payload, _ = adv.Append(nil, p.Header, vrrp.PseudoHeader)
	return p
}

// gossip has every node say what it is, again and again, and the others draw their
// conclusions about who is to announce last.
func (w *world) gossip() {
	w.after(simGossip, w.gossip)
	for _, n := range w.nodes {
		says := n.says()
		for _, other := range w.nodes {
			if other == n || !other.alive {
				continue
			}
			other.views[n.index].Notice(says != nil, w.now)
			if says == nil {
				continue
			}
			w.after(time.Millisecond+w.upTo(20*time.Millisecond), func() { other.hear(n.index, says, other.run) })
		}
	}
}

// says is what the node tells of itself; nil while it says nothing.
func (n *simNode) says() *peer.State {
	if n.w.gossipCut || !n.alive || n.stalled {
		return nil
	}
	if s := n.said; s != nil && !slices.ContainsFunc(n.core.instances, func(in *instance) bool { return s.VIPs[in.cfg.Name] != in.says() }) {
		return s
	}
	s := &peer.State{Node: n.String(), Started: n.started, Seq: 1, VIPs: map[string]peer.VIP{}}
	if n.said != nil {
		s.Seq = n.said.Seq + 1
	}
	for _, in := range n.core.instances {
		s.VIPs[in.cfg.Name] = in.says()
	}
	n.said = s
	return s
}

func (in *instance) says() peer.VIP { return peer.VIP{Role: in.vr.Role(), Epoch: in.epoch} }

func (n *simNode) hear(from int, says *peer.State, run int) {
	if n.run != run || n.stalled || !n.alive || !n.views[from].Hear(*says, n.w.now) {
		return
	}
	n.own = n.own[:0]
	for _, in := range n.core.instances {
		n.own = append(n.own, ipc.RouterState{Name: in.cfg.Name, Holds: in.holds(), Epoch: in.epoch, Heard: in.heard})
	}
	for _, a := range judge.Foreign(n.own, *n.views[from].State) {
		n.step(func(now time.Time) { n.core.message(context.Background(), now, ipc.ToAgent{Announce: &a}) })
	}
}

// tail returns the end of the log.
func (w *world) tail() string {
	return strings.Join(w.log[max(0, len(w.log)-60):], "\n")
}
