package agent

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/notice"
	"github.com/tandemlb/tandem/internal/ownership"
	"github.com/tandemlb/tandem/internal/vmac"
	"github.com/tandemlb/tandem/vrrp"
)

var groupIPv4 = netip.MustParseAddr("224.0.0.18")

var vipPrefix = netip.MustParsePrefix("192.0.2.100/24")

// lan joins the fake hosts of a test. Its clock is that of the synctest bubble.
type lan struct {
	t  *testing.T
	mu sync.Mutex
	// events are what can be seen from outside, in order: "lb1 advert 200",
	// "lb1 hold", "lb1 announce", "lb1 release".
	events []string
	hosts  []*fakeHost
}

func newLAN(t *testing.T) *lan { return &lan{t: t} }

func (n *lan) event(format string, args ...any) {
	n.events = append(n.events, fmt.Sprintf(format, args...))
}

// seen returns the events since the last call that contain part.
func (n *lan) seen(part string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var found []string
	for _, e := range n.events {
		if strings.Contains(e, part) {
			found = append(found, e)
		}
	}
	n.events = nil
	return found
}

// owners returns the hosts that have the VIP now.
func (n *lan) owners() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var names []string
	for _, h := range n.hosts {
		if h.has() {
			names = append(names, h.name)
		}
	}
	return names
}

func (n *lan) expectOwners(want ...string) {
	n.t.Helper()
	synctest.Wait()
	if got := n.owners(); !slices.Equal(got, want) {
		n.t.Errorf("the VIP is on %v, want %v", got, want)
	}
}

// fakeHost is a host of a lan with its agent's loop and owner.
type fakeHost struct {
	lan    *lan
	name   string
	addr   netip.Addr
	waiter *fakeWaiter

	// Guarded by lan.mu.
	cut       bool // the network is gone, with the carrier still there
	expires   time.Time
	holdErr   error
	sweepErr  error
	leftOver  bool
	listenErr error
	sendErr   error
	socket    *fakeSocket
	reported  *ipc.AgentState
	logs      []string
	watch     *fakeWatch
	onLink    func(Link)
	onGone    func(string, netip.Prefix)
	onGateway func(alive bool)
	onClaim   func(Claim)
	announced []netip.Addr
	listened  SocketOptions           // newest
	heldOn    map[netip.Prefix]string // the interface of each address that was held last

	messages chan ipc.ToAgent
	stop     context.CancelFunc
	done     chan struct{}
}

func (h *fakeHost) has() bool { return time.Now().Before(h.expires) }

// start runs an agent on a new host, told that the node is fit.
func (n *lan) start(name string, router ipc.Router) *fakeHost {
	h := n.host(name, router.Params.Self)
	h.run(router)
	h.messages <- ipc.ToAgent{Fitness: &ipc.Fitness{Fit: true}}
	return h
}

func (n *lan) host(name string, addr netip.Addr) *fakeHost {
	h := &fakeHost{lan: n, name: name, addr: addr}
	n.mu.Lock()
	n.hosts = append(n.hosts, h)
	n.mu.Unlock()
	return h
}

func (h *fakeHost) run(routers ...ipc.Router) {
	ctx, cancel := context.WithCancel(context.Background())
	h.messages, h.stop, h.done = make(chan ipc.ToAgent), cancel, make(chan struct{})
	h.waiter = &fakeWaiter{wakeC: make(chan struct{}, 1)}
	host := Host{
		NewWaiter: func() (Waiter, error) { return h.waiter, nil },
		Listen:    h.listen,
		Owner: ownership.Host{
			DialAnnouncer: func(o ownership.LinkOptions) (ownership.Announcer, error) { return fakeAnnouncer{h}, nil },
			Sweep:         h.sweep,
			Addresses:     h,
			Macvlans:      fakeMacvlans{h},
			SweepMacvlans: func() ([]string, error) { return nil, nil },
		},
		WatchPeer:    h.watchPeer,
		WatchGateway: h.watchGateway,
		WatchClaims:  h.watchClaims,
	}
	owner, reporter := ownership.New(host.Owner), newReporter()
	loop := newLoop(host, owner, reporter)
	h.onLink, h.onGone = loop.link, loop.gone
	var wg sync.WaitGroup
	wg.Go(func() {
		defer cancel()
		if err := loop.run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			h.lan.t.Errorf("%s: %v", h.name, err)
		}
	})
	wg.Go(func() { owner.Run(ctx, loop.facts) })
	wg.Go(func() { h.relay(ctx, loop) })
	wg.Go(func() {
		reporter.run(ctx, func(m ipc.FromAgent) error {
			h.lan.mu.Lock()
			defer h.lan.mu.Unlock()
			if m.State != nil {
				h.reported = m.State
			}
			if m.Log != nil {
				h.logs = append(h.logs, m.Log.Message)
			}
			return nil
		})
	})
	go func() { wg.Wait(); close(h.done) }()
	h.lan.t.Cleanup(func() { cancel(); <-h.done })
	h.messages <- ipc.ToAgent{Config: &ipc.AgentConfig{Routers: routers}}
}

// relay passes messages on as the connection with the supervisor does.
func (h *fakeHost) relay(ctx context.Context, l *loop) {
	for {
		select {
		case m, ok := <-h.messages:
			if !ok {
				l.abandoned()
				return
			}
			l.message(ctx, m)
		case <-ctx.Done():
			return
		}
	}
}

// fakeWaiter waits in the time of a bubble.
type fakeWaiter struct{ wakeC chan struct{} }

func (w *fakeWaiter) Wait(deadline time.Time) error {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.wakeC:
	}
	return nil
}

func (w *fakeWaiter) Wake() {
	select {
	case w.wakeC <- struct{}{}:
	default:
	}
}

func (w *fakeWaiter) Add(Socket) error    { return nil }
func (w *fakeWaiter) Remove(Socket) error { return nil }
func (w *fakeWaiter) Close() error        { return nil }

func (h *fakeHost) state() ipc.RouterState {
	h.lan.t.Helper()
	synctest.Wait()
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	if h.reported == nil || len(h.reported.Routers) != 1 {
		h.lan.t.Fatalf("%s reported %+v", h.name, h.reported)
	}
	return h.reported.Routers[0]
}

func (h *fakeHost) listen(o SocketOptions) (Socket, error) {
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	h.listened = o
	if h.listenErr != nil {
		return nil, h.listenErr
	}
	h.socket = &fakeSocket{host: h}
	return h.socket, nil
}

func (h *fakeHost) sweep([]netip.Prefix) ([]string, error) {
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	if h.sweepErr != nil {
		return nil, h.sweepErr
	}
	if h.leftOver {
		h.leftOver, h.expires = false, time.Time{}
		return []string{vipPrefix.String() + " on eth0"}, nil
	}
	return nil, nil
}

func (h *fakeHost) Hold(ifname string, p netip.Prefix, lease time.Duration) (bool, error) {
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	if h.holdErr != nil {
		return false, h.holdErr
	}
	if h.heldOn == nil {
		h.heldOn = map[netip.Prefix]string{}
	}
	h.heldOn[p] = ifname
	added := !h.has()
	if added {
		h.lan.event("%s hold", h.name)
	}
	h.expires = time.Now().Add(lease)
	return added, nil
}

func (h *fakeHost) Release(string, netip.Prefix) error {
	h.lan.mu.Lock()
	defer h.lan.mu.Unlock()
	if h.has() {
		h.lan.event("%s release", h.name)
	}
	h.expires = time.Time{}
	return nil
}

// remove takes the address away as a careless operator would.
func (h *fakeHost) remove() {
	h.lan.mu.Lock()
	h.expires = time.Time{}
	h.lan.mu.Unlock()
	h.onGone("eth0", vipPrefix)
}

func (h *fakeHost) setCut(cut bool) {
	h.lan.mu.Lock()
	h.cut = cut
	h.lan.mu.Unlock()
}

// fakeWatch is a watch over the peer's process whose news the test makes up.
type fakeWatch struct {
	host   *fakeHost
	events chan notice.Event
	// Guarded by lan.mu.
	contradicted int
	goodbyes     []string
}

func (h *fakeHost) watchPeer(notice.Options) PeerWatch {
	w := &fakeWatch{host: h, events: make(chan notice.Event)}
	h.lan.mu.Lock()
	h.watch = w
	h.lan.mu.Unlock()
	return w
}

func (w *fakeWatch) Run(ctx context.Context) error { <-ctx.Done(); return nil }
func (w *fakeWatch) Events() <-chan notice.Event   { return w.events }

func (w *fakeWatch) Contradicted(time.Time) {
	w.host.lan.mu.Lock()
	defer w.host.lan.mu.Unlock()
	w.contradicted++
}

func (w *fakeWatch) Goodbye(reason string) {
	w.host.lan.mu.Lock()
	defer w.host.lan.mu.Unlock()
	w.goodbyes = append(w.goodbyes, reason)
}

type fakeAnnouncer struct{ host *fakeHost }

func (a fakeAnnouncer) Announce(addr netip.Addr) error {
	a.host.lan.mu.Lock()
	defer a.host.lan.mu.Unlock()
	a.host.announced = append(a.host.announced, addr)
	a.host.lan.event("%s announce", a.host.name)
	return nil
}

func (a fakeAnnouncer) Probe(addr netip.Addr) error {
	a.host.lan.mu.Lock()
	defer a.host.lan.mu.Unlock()
	a.host.lan.event("%s probe", a.host.name)
	return nil
}

func (fakeAnnouncer) Close() error { return nil }

// fakeMacvlans writes down what becomes of the device of each virtual router.
type fakeMacvlans struct{ host *fakeHost }

func (m fakeMacvlans) note(what string) {
	m.host.lan.mu.Lock()
	defer m.host.lan.mu.Unlock()
	m.host.lan.event("%s %s", m.host.name, what)
}

func (m fakeMacvlans) Prepare(vmac.Macvlan) error { m.note("device prepare"); return nil }
func (m fakeMacvlans) Up(vmac.Macvlan) error      { m.note("device up"); return nil }
func (m fakeMacvlans) Down(vmac.Macvlan) error    { m.note("device down"); return nil }
func (m fakeMacvlans) Remove(vmac.Macvlan) error  { m.note("device remove"); return nil }

func (h *fakeHost) watchGateway(ctx context.Context, o GatewayOptions, changed func(bool)) error {
	h.lan.mu.Lock()
	h.onGateway = changed
	h.lan.mu.Unlock()
	<-ctx.Done()
	return nil
}

// claims has the host hear a claim of another.
func (h *fakeHost) claims(k Claim) {
	h.lan.mu.Lock()
	claimed := h.onClaim
	h.lan.mu.Unlock()
	claimed(k)
}

// gatewayAnswers has the host's gateway answer, or not.
func (h *fakeHost) gatewayAnswers(alive bool) {
	h.lan.mu.Lock()
	changed := h.onGateway
	h.lan.mu.Unlock()
	changed(alive)
}

func (h *fakeHost) watchClaims(ctx context.Context, o ClaimOptions, claimed func(Claim)) error {
	h.lan.mu.Lock()
	h.onClaim = claimed
	h.lan.mu.Unlock()
	<-ctx.Done()
	return nil
}

// fakeSocket delivers what it sends to the sockets of all other hosts.
type fakeSocket struct {
	host  *fakeHost
	queue [][]byte // guarded by lan.mu
}

func (s *fakeSocket) TryRead(b []byte) (vrrp.Packet, bool, error) {
	s.host.lan.mu.Lock()
	defer s.host.lan.mu.Unlock()
	if len(s.queue) == 0 {
		return vrrp.Packet{}, false, nil
	}
	n := copy(b, s.queue[0])
	s.queue = s.queue[1:]
	p, err := vrrp.ParseIPv4(b[:n])
	return p, err == nil, err
}

func (s *fakeSocket) Send(payload []byte, _ netip.Addr) error {
	n := s.host.lan
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.host.sendErr != nil {
		return s.host.sendErr
	}
	n.event("%s advert %d", s.host.name, payload[2])
	if s.host.cut {
		return nil
	}
	packet := ipv4(s.host.addr, 255, payload)
	for _, other := range n.hosts {
		if other != s.host && other.socket != nil && !other.cut {
			other.socket.deliver(packet)
		}
	}
	return nil
}

func (s *fakeSocket) deliver(packet []byte) {
	s.queue = append(s.queue, packet)
	s.host.waiter.Wake()
}

func (s *fakeSocket) Close() error { return nil }

// ipv4 wraps a VRRP message as a raw socket would deliver it.
func ipv4(from netip.Addr, ttl byte, payload []byte) []byte {
	b := make([]byte, 20, 20+len(payload))
	b[0], b[8], b[9] = 0x45, ttl, 112
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(payload)))
	copy(b[12:], from.AsSlice())
	to := groupIPv4.As4()
	copy(b[16:], to[:])
	return append(b, payload...)
}

// router returns the main VIP as the node with that address and priority runs it.
func router(self string, priority uint8) ipc.Router {
	return ipc.Router{
		Name: "main", VIP: "main", Group: "main", Interface: "eth0", Prefixes: []netip.Prefix{vipPrefix}, Lease: 2 * time.Second,
		Params: vrrp.Params{VRID: 51, Priority: priority, Preempt: true, Interval: 100 * time.Millisecond,
			Addresses: []netip.Addr{vipPrefix.Addr()}, Self: netip.MustParseAddr(self)},
	}
}
