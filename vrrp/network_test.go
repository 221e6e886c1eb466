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
// router as a node does, and writes down what can be seen of it.
type network struct {
	now   time.Time
	nodes []*node
	queue deliveries
	sent  int

	rng       *rand.Rand    // of all that follows
	delay     time.Duration // greatest of a packet; the least is 0
	loss, dup float64
	cut       map[[2]*node]bool

	announced *node // who announced the addresses last
	judge     *judge
	log       []string
}

// A node is a place for a router. What survives a crash is not in the router.
type node struct {
	name   string
	params vrrp.Params
	router *vrrp.Router // nil when it crashed or was never started
	frozen bool
	inbox  []vrrp.Packet // of a frozen node
	fit    time.Time     // since when it takes part in the election; zero: it does not
	held   bool          // as last written down
}

type delivery struct {
	at     time.Time
	seq    int // breaks ties, so that a run can be repeated
	to     *node
	packet vrrp.Packet
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
	n := &network{now: epoch, rng: rng, cut: make(map[[2]*node]bool)}
	n.judge = &judge{network: n, workingSince: epoch}
	return n
}

func (n *network) add(name string, p vrrp.Params) *node {
	nd := &node{name: name, params: p}
	n.nodes = append(n.nodes, nd)
	return nd
}

// holds reports whether the node can be reached at the addresses.
func (nd *node) holds() bool { return nd.router != nil && !nd.frozen && nd.router.Holds() }

func (nd *node) role() vrrp.Role {
	if nd.router == nil {
		return vrrp.Init
	}
	return nd.router.Status().Role
}

// run lets time pass.
func (n *network) run(d time.Duration) {
	end := n.now.Add(d)
	for {
		next, who := end, (*node)(nil)
		for _, nd := range n.nodes {
			if nd.router == nil || nd.frozen {
				continue
			}
			if t := nd.router.Next(); !t.IsZero() && !t.After(next) {
				next, who = t, nd
			}
		}
		if len(n.queue) > 0 && !n.queue[0].at.After(next) {
			d := heap.Pop(&n.queue).(delivery)
			n.now = d.at
			n.arrive(d.to, d.packet)
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
		n.act(who, who.router.Tick(n.now))
	}
}

func (n *network) arrive(nd *node, p vrrp.Packet) {
	switch {
	case nd.router == nil:
	case nd.frozen:
		nd.inbox = append(nd.inbox, p)
	default:
		n.receive(nd, p)
	}
}

func (n *network) receive(nd *node, p vrrp.Packet) {
	a, err := nd.router.Accept(p)
	if err != nil {
		panic(fmt.Sprintf("%s refuses a packet of %s: %v", nd.name, p.Source, err))
	}
	n.act(nd, nd.router.Receive(n.now, p.Source, a))
}

// act does what the output says, in its order.
func (n *network) act(nd *node, out vrrp.Output) {
	for _, a := range out.Send {
		n.broadcast(nd, a)
		if out.Change != nil || out.Announce || a.Priority != nd.router.Status().Priority {
			n.logf("%s: advertise priority %d", nd.name, a.Priority)
		}
	}
	if c := out.Change; c != nil {
		n.logf("%s: %v -> %v: %s", nd.name, c.From, c.To, c.Reason)
	}
	n.noteHolding(nd)
	if out.Announce {
		n.logf("%s: announce the addresses", nd.name)
		n.announced = nd
	}
	n.judge.look()
}

func (n *network) noteHolding(nd *node) {
	switch holds := nd.holds(); {
	case holds && !nd.held:
		n.logf("%s: hold the addresses", nd.name)
	case !holds && nd.held:
		n.logf("%s: let the addresses go", nd.name)
	}
	nd.held = nd.holds()
}

func (n *network) broadcast(from *node, a vrrp.Advert) {
	h := vrrp.Header{Source: from.params.Self, Destination: group}
	b, err := a.Append(nil, h, from.router.Checksum())
	if err != nil {
		panic(fmt.Sprintf("%s cannot send %+v: %v", from.name, a, err))
	}
	for _, to := range n.nodes {
		if to == from || n.cut[pair(from, to)] || n.chance(n.loss) {
			continue
		}
		n.deliver(to, vrrp.Packet{Header: h, TTL: 255, Payload: b})
		if n.chance(n.dup) {
			n.deliver(to, vrrp.Packet{Header: h, TTL: 255, Payload: b})
		}
	}
}

func (n *network) deliver(to *node, p vrrp.Packet) {
	var delay time.Duration
	if n.delay > 0 {
		delay = time.Duration(n.rng.Int64N(int64(n.delay) + 1))
	}
	n.sent++
	heap.Push(&n.queue, delivery{at: n.now.Add(delay), seq: n.sent, to: to, packet: p})
}

func (n *network) chance(p float64) bool { return p > 0 && n.rng.Float64() < p }

func pair(a, b *node) [2]*node {
	if a.params.Self.Less(b.params.Self) {
		return [2]*node{a, b}
	}
	return [2]*node{b, a}
}

// start starts a node, with a new router unless it merely left the election.
func (n *network) start(nd *node) {
	if nd.router == nil {
		r, err := vrrp.NewRouter(nd.params)
		if err != nil {
			panic(fmt.Sprintf("start %s: %v", nd.name, err))
		}
		nd.router = r
	}
	nd.fit = n.now
	n.act(nd, nd.router.Startup(n.now))
}

func (n *network) stop(nd *node, linger time.Duration) {
	nd.fit = time.Time{}
	n.act(nd, nd.router.Shutdown(n.now, vrrp.Leave{Reason: "stop", Linger: linger}))
}

// crash ends a node without a word.
func (n *network) crash(nd *node) {
	n.logf("%s: crash", nd.name)
	*nd = node{name: nd.name, params: nd.params}
	n.judge.look()
}

// freeze keeps a node from running; what it is sent waits for it.
func (n *network) freeze(nd *node) {
	n.logf("%s: freeze", nd.name)
	nd.frozen, nd.fit = true, time.Time{}
	n.judge.look()
}

// thaw lets a node run again. It finds its socket full and its timer late; a
// driver that drains may judge the newest packet alone.
func (n *network) thaw(nd *node, newestOnly bool) {
	n.logf("%s: thaw", nd.name)
	packets := nd.inbox
	nd.frozen, nd.inbox = false, nil
	if newestOnly && len(packets) > 1 {
		packets = packets[len(packets)-1:]
	}
	for _, p := range packets {
		n.receive(nd, p)
	}
	n.act(nd, nd.router.Tick(n.now))
	if nd.router.Status().Role != vrrp.Init {
		nd.fit = n.now
	}
}

func (n *network) separate(a, b *node) {
	n.logf("cut %s-%s", a.name, b.name)
	n.cut[pair(a, b)] = true
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
	return strings.Join(n.log[max(0, len(n.log)-60):], "\n")
}

// active returns the nodes that are Active.
func (n *network) active() []*node {
	return slices.DeleteFunc(slices.Clone(n.nodes), func(nd *node) bool { return nd.role() != vrrp.Active })
}

func selfOf(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(11 + i)}) }
