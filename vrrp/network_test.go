package vrrp_test

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/vrrp"
)

// A network is a link with routers on it, in simulated time. It drives each
// router as a node does, and writes down what can be seen of it. The first
// routers of all nodes form one channel, the second ones another, which never
// hears the first.
type network struct {
	now   time.Time
	nodes []*node
	queue deliveries
	sent  int

	rng       *rand.Rand    // of all that follows
	latency   time.Duration // of every packet
	delay     time.Duration // greatest beyond that; the least is 0
	loss, dup float64
	cut       map[link]bool

	announced *node // who announced the addresses last
	judge     *judge
	log       []string
}

// A link is the way from one node to another on one channel.
type link struct {
	from, to *node
	channel  int
}

// A node is a place for routers. What survives a crash is not in them.
type node struct {
	name    string
	params  []vrrp.Params  // one for each channel
	routers []*vrrp.Router // likewise; empty when it crashed or was never started
	group   *vrrp.Group    // of the routers
	down    []bool         // channels that the node may not take part in
	frozen  bool
	inbox   []delivery // of a frozen node
	fit     time.Time  // since when it takes part in the election; zero: it does not
	held    []bool     // as last written down
}

type delivery struct {
	at      time.Time
	seq     int // breaks ties, so that a run can be repeated
	to      *node
	channel int
	packet  vrrp.Packet
}

type deliveries []delivery

func (d deliveries) Len() int      { return len(d) }
func (d deliveries) Swap(i, j int) { d[i], d[j] = d[j], d[i] }
func (d *deliveries) Push(x any)   { *d = append(*d, x.(delivery)) }
func (d deliveries) Less(i, j int) bool {
	if !d[i].at.Equal(d[j].at) {
		return d[i].at.Before(d[j].at)
	}
	return d[i].seq < d[j].seq
}

func (d *deliveries) Pop() any {
	last := (*d)[len(*d)-1]
	*d = (*d)[:len(*d)-1]
	return last
}

func newNetwork(rng *rand.Rand) *network {
	n := &network{now: epoch, rng: rng, cut: make(map[link]bool)}
	n.judge = &judge{network: n, workingSince: epoch}
	return n
}

func (n *network) add(name string, ps ...vrrp.Params) *node {
	nd := &node{name: name, params: ps, down: make([]bool, len(ps)), held: make([]bool, len(ps))}
	n.nodes = append(n.nodes, nd)
	return nd
}

// on names the node's router on a channel.
func (nd *node) on(channel int) string {
	switch {
	case len(nd.params) == 1:
		return nd.name
	case nd.params[channel].Self.Is4():
		return nd.name + "/4"
	}
	return nd.name + "/6"
}

// holds reports whether the node can be reached at the addresses of a channel.
func (nd *node) holds(channel int) bool {
	return len(nd.routers) > 0 && !nd.frozen && nd.routers[channel].Holds()
}

// roleOn returns the role on a channel; role returns that on all of them, which
// is Active only if each is.
func (nd *node) roleOn(channel int) vrrp.Role {
	if len(nd.routers) == 0 {
		return vrrp.Init
	}
	return nd.routers[channel].Role()
}

func (nd *node) role() vrrp.Role {
	role := vrrp.Active
	for i := range nd.params {
		role = min(role, nd.roleOn(i))
	}
	return role
}

// next returns which of the node's routers is to be woken first, and when.
func (nd *node) next() (which int, when time.Time) {
	for i, r := range nd.routers {
		if t := r.Next(); !t.IsZero() && !nd.frozen && (when.IsZero() || t.Before(when)) {
			which, when = i, t
		}
	}
	return which, when
}

// run lets time pass.
func (n *network) run(d time.Duration) {
	end := n.now.Add(d)
	for {
		next, who, which := end, (*node)(nil), 0
		for _, nd := range n.nodes {
			if i, t := nd.next(); !t.IsZero() && !t.After(next) {
				next, who, which = t, nd, i
			}
		}
		if len(n.queue) > 0 && !n.queue[0].at.After(next) {
			d := heap.Pop(&n.queue).(delivery)
			n.now = d.at
			n.arrive(d)
			continue
		}
		if who == nil {
			n.now = end
			n.judge.look()
			return
		}
		if next.After(n.now) {
			n.now = next
		}
		n.tick(who, which)
		n.endTurn(who)
	}
}

func (n *network) tick(nd *node, channel int) {
	n.act(nd, channel, nd.routers[channel].Tick(n.now))
}

func (n *network) arrive(d delivery) {
	switch {
	case len(d.to.routers) == 0:
	case d.to.frozen:
		d.to.inbox = append(d.to.inbox, d)
	default:
		n.receive(d)
		n.endTurn(d.to)
	}
}

func (n *network) receive(d delivery) {
	r := d.to.routers[d.channel]
	a, err := r.Accept(d.packet)
	if err != nil {
		panic(fmt.Sprintf("%s refuses a packet of %s: %v", d.to.name, d.packet.Source, err))
	}
	n.act(d.to, d.channel, r.Receive(n.now, d.packet.Source, a))
}

// endTurn is what a node does after it has worked off what there was to do.
func (n *network) endTurn(nd *node) {
	for i, out := range nd.group.Settle(n.now) {
		n.act(nd, i, out)
	}
	n.judge.look()
	n.judge.lookInto(nd)
}

// act does what the output says, in its order.
func (n *network) act(nd *node, channel int, out vrrp.Output) {
	for _, a := range out.Send {
		n.send(nd, channel, a)
		if out.Change != nil || out.Announce || a.Priority != nd.routers[channel].Status().Priority {
			n.logf("%s: advertise priority %d", nd.on(channel), a.Priority)
		}
	}
	if c := out.Change; c != nil {
		n.logf("%s: %v -> %v: %s", nd.on(channel), c.From, c.To, c.Reason)
	}
	n.noteHolding(nd, channel)
	if out.Announce {
		n.logf("%s: announce the addresses", nd.on(channel))
		n.announced = nd
	}
}

func (n *network) noteHolding(nd *node, channel int) {
	switch holds := nd.holds(channel); {
	case holds && !nd.held[channel]:
		n.logf("%s: hold the addresses", nd.on(channel))
	case !holds && nd.held[channel]:
		n.logf("%s: let the addresses go", nd.on(channel))
	}
	nd.held[channel] = nd.holds(channel)
}

// send sends an advertisement to every destination of its router.
func (n *network) send(from *node, channel int, a vrrp.Advert) {
	r := from.routers[channel]
	for _, destination := range r.Destinations() {
		h := vrrp.Header{Source: from.params[channel].Self, Destination: destination}
		b, err := a.Append(nil, h, r.ChecksumFor(destination))
		if err != nil {
			panic(fmt.Sprintf("%s cannot send %+v: %v", from.name, a, err))
		}
		for _, to := range n.nodes {
			if to == from || !destination.IsMulticast() && destination != to.params[channel].Self ||
				n.cut[link{from, to, channel}] || n.chance(n.loss) {
				continue
			}
			d := delivery{to: to, channel: channel, packet: vrrp.Packet{Header: h, TTL: 255, Payload: b}}
			n.deliver(d)
			if n.chance(n.dup) {
				n.deliver(d)
			}
		}
	}
}

func (n *network) deliver(d delivery) {
	d.at = n.now.Add(n.latency)
	if n.delay > 0 {
		d.at = d.at.Add(time.Duration(n.rng.Int64N(int64(n.delay) + 1)))
	}
	n.sent++
	d.seq = n.sent
	heap.Push(&n.queue, d)
}

func (n *network) chance(p float64) bool { return p > 0 && n.rng.Float64() < p }

// start starts a node, with new routers unless it merely left the election.
func (n *network) start(nd *node) {
	if len(nd.routers) == 0 {
		for _, p := range nd.params {
			r, err := vrrp.NewRouter(p)
			if err != nil {
				panic(fmt.Sprintf("start %s: %v", nd.name, err))
			}
			nd.routers = append(nd.routers, r)
		}
		nd.group = vrrp.NewGroup(nd.routers...)
	}
	for i, r := range nd.routers {
		if !nd.down[i] {
			n.act(nd, i, r.Startup(n.now))
		}
	}
	if !slices.Contains(nd.down, true) {
		nd.fit = n.now
	}
	n.endTurn(nd)
}

func (n *network) stop(nd *node, linger time.Duration) {
	nd.fit = time.Time{}
	for i, r := range nd.routers {
		n.act(nd, i, r.Shutdown(n.now, vrrp.Leave{Reason: "stop", Linger: linger}))
	}
	n.endTurn(nd)
}

// unplug takes one channel away from a node, which notices.
func (n *network) unplug(nd *node, channel int) {
	nd.fit, nd.down[channel] = time.Time{}, true
	if len(nd.routers) > 0 && !nd.frozen {
		n.act(nd, channel, nd.routers[channel].Shutdown(n.now, vrrp.Leave{Reason: "link down"}))
		n.endTurn(nd)
	}
}

// plug gives it back.
func (n *network) plug(nd *node, channel int) {
	nd.down[channel] = false
	if nd.role() == vrrp.Init && len(nd.routers) > 0 && !nd.frozen {
		n.start(nd)
	}
}

func (n *network) setPriority(nd *node, p uint8) {
	for i, r := range nd.routers {
		n.act(nd, i, r.SetPriority(n.now, p))
	}
	n.endTurn(nd)
}

// died tells all others of the death of a node's process.
func (n *network) died(dead *node) {
	for _, nd := range n.nodes {
		if nd == dead || nd.frozen || len(nd.routers) == 0 {
			continue
		}
		for i, r := range nd.routers {
			n.act(nd, i, r.PeerDied(n.now, dead.params[i].Self, "connection refused"))
		}
		n.endTurn(nd)
	}
}

// crash ends a node without a word.
func (n *network) crash(nd *node) {
	n.logf("%s: crash", nd.name)
	*nd = node{name: nd.name, params: nd.params, down: nd.down, held: make([]bool, len(nd.params))}
	n.judge.look()
}

// freeze keeps a node from running; what it is sent waits for it.
func (n *network) freeze(nd *node) {
	n.logf("%s: freeze", nd.name)
	nd.frozen, nd.fit = true, time.Time{}
	n.judge.look()
}

// thaw lets a node run again. It finds its socket full and its timer late; a
// driver that drains may judge the newest packet of each channel alone.
func (n *network) thaw(nd *node, newestOnly bool) {
	n.logf("%s: thaw", nd.name)
	inbox := nd.inbox
	nd.frozen, nd.inbox = false, nil
	n.judge.misledSince = n.now
	for i, d := range inbox {
		newer := slices.ContainsFunc(inbox[i+1:], func(e delivery) bool { return e.channel == d.channel })
		if !newestOnly || !newer {
			n.receive(d)
		}
	}
	for i, r := range nd.routers {
		n.tick(nd, i)
		if nd.down[i] {
			n.act(nd, i, r.Shutdown(n.now, vrrp.Leave{Reason: "link down"}))
		}
	}
	n.endTurn(nd)
	if nd.role() != vrrp.Init {
		nd.fit = n.now
	}
}

// separate cuts all channels between two nodes, both ways.
func (n *network) separate(a, b *node) {
	n.logf("cut %s-%s", a.name, b.name)
	for i := range a.params {
		n.cut[link{a, b, i}], n.cut[link{b, a, i}] = true, true
	}
}

// deafen cuts the way of one channel from one node to another.
func (n *network) deafen(from, to *node, channel int) {
	n.logf("cut %s>%s", from.on(channel), to.on(channel))
	n.cut[link{from, to, channel}] = true
}

func (n *network) heal() {
	n.logf("heal")
	clear(n.cut)
}

func (n *network) logf(format string, args ...any) {
	n.log = append(n.log, fmt.Sprintf("%8.3fs  ", n.now.Sub(epoch).Seconds())+fmt.Sprintf(format, args...))
}

// tail returns the end of the log, for the message of a failed test.
func (n *network) tail() string {
	return strings.Join(n.log[max(0, len(n.log)-80):], "\n")
}

// active returns the nodes that are Active.
func (n *network) active() []*node {
	return slices.DeleteFunc(slices.Clone(n.nodes), func(nd *node) bool { return nd.role() != vrrp.Active })
}

// selfOf and selfOf6 are the addresses of the node of a number, and otherSelfOf6
// those whose order is the other way round.
func selfOf(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(11 + i)}) }

func selfOf6(i int) netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 15: byte(0x11 + i)})
}

func otherSelfOf6(i int) netip.Addr { return selfOf6(100 - i) }
