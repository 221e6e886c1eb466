package agent

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/ownership"
	"github.com/tandemlb/tandem/internal/vip"
	"github.com/tandemlb/tandem/vrrp"
)

const (
	// holdDown is how long a node that could not hold an address stays away,
	// so that it does not take the VIP only to drop it again.
	holdDown = 10 * time.Second
	// reopenEvery is how often a socket that could not be opened, or a sweep that
	// did not succeed, is tried again.
	reopenEvery = time.Second
	// probeEvery is how often the link is asked who else has an address that this
	// node holds, and firstProbe when it is first asked after a takeover.
	probeEvery = 30 * time.Second
	firstProbe = 2 * time.Second
	// claimGrace is for how long after a takeover the claims of others say nothing:
	// the node before may still be letting go.
	claimGrace = time.Second
	// quietConflict is how often a conflict that lasts is logged again.
	quietConflict = time.Minute
	// maxChanges bounds the changes of role that are reported.
	maxChanges = 8
)

// instance is a virtual router of this node with all that the core knows of it.
type instance struct {
	cfg    ipc.Router
	vr     *vrrp.Router
	group  *group
	socket SocketOptions
	sock   *openSocket // nil while it cannot be opened
	want   ownership.Want
	device string // where the addresses live; empty until known
	packet []byte // kept to be used again

	started   bool // the router takes part in the election
	swept     bool // what an earlier process left behind has been removed
	sweepErr  error
	sweepAt   time.Time
	sockErr   error
	reopenAt  time.Time
	linkDown  bool
	sendErr   error
	sendSince time.Time // when sending began to fail
	holdErr   error     // why the addresses could not be held
	holdUntil time.Time // end of the hold-down that followed

	// The addresses, while want.hold.
	held      ownership.Fact // newest word of the owner
	claimedAt time.Time
	awake     time.Time // when the node ran again after a stall in which a renewal was due
	renewAt   time.Time
	probeAt   time.Time
	burst     burst
	frames    []ownership.Frame // that the pacer has not let out yet
	bursts    vip.Healer        // limits how often a burst begins anew
	epoch     uint64            // of the newest burst
	heard     uint64            // highest epoch of another node
	healer    vip.Healer

	changes   []vrrp.Change // newest last
	roleSince time.Time     // when the newest one was; zero: there was none
	flapped   time.Time     // when flapping was last told of
	conflict  *ipc.Conflict
	removals  uint64
	lease     ipc.LeaseCounts
}

// group is a set of virtual routers that move together.
type group struct {
	name    string
	members []*instance
	vr      *vrrp.Group
	blocked string // why none of them takes part; empty when nothing speaks against it
}

func newInstance(cfg ipc.Router) (*instance, error) {
	vr, err := vrrp.NewRouter(cfg.Params)
	if err != nil {
		return nil, fmt.Errorf("vip %q: %w", cfg.Name, err)
	}
	in := &instance{cfg: cfg, vr: vr, want: ownership.Want{Router: cfg}, socket: SocketOptions{
		Interface: cfg.Interface, Self: cfg.Params.Self, Virtual: ownership.VirtualMAC(cfg), Unicast: len(cfg.Params.Peers) > 0,
	}}
	if !cfg.VirtualMAC {
		in.device = cfg.Interface
	}
	return in, nil
}

// gateway returns the gateway that the router tracks, if it does.
func (in *instance) gateway() (GatewayOptions, bool) {
	g := in.cfg.Track.Gateway
	return GatewayOptions{Interface: in.cfg.Interface, Self: in.cfg.Params.Self, Gateway: g}, g.IsValid()
}

// peerAddress returns the address from which the node at addr advertises to this
// router: an IPv6 router speaks from a link-local one. It is invalid when that
// cannot be told, because nobody was heard, or several.
func (in *instance) peerAddress(addr netip.Addr) netip.Addr {
	self := in.cfg.Params.Self
	if self.Is4() == addr.Is4() && !self.IsLinkLocalUnicast() {
		return addr
	}
	if heard := in.vr.Status().Peers; len(heard) == 1 {
		return heard[0].Address
	}
	return netip.Addr{}
}

// send sends an advertisement to all who are to have it.
func (in *instance) send(a vrrp.Advert) error {
	var failed error
	for _, to := range in.vr.Destinations() {
		b, err := a.Append(in.packet[:0], vrrp.Header{Source: in.cfg.Params.Self, Destination: to}, in.vr.ChecksumFor(to))
		if err == nil {
			in.packet = b
			err = in.sock.Send(b, to)
		}
		if err != nil {
			failed = err
		}
	}
	return failed
}

// blocked says why the router must not take part in the election; empty when
// nothing speaks against it. Several things may; the first is the one shown.
func (in *instance) blocked(now time.Time, fit ipc.Fitness) string {
	switch {
	case !fit.Fit:
		return fit.Reason
	case in.sock == nil:
		return in.noSocket()
	case in.sweepErr != nil:
		return in.sweepErr.Error()
	case !in.swept:
		return "left-over addresses are being removed"
	case in.linkDown:
		return fmt.Sprintf("link %s is down", in.cfg.Interface)
	case now.Before(in.holdUntil):
		return fmt.Sprintf("addresses cannot be held: %v", in.holdErr)
	}
	return ""
}

func (in *instance) noSocket() string {
	if in.sockErr == nil {
		return "the VRRP socket is being opened"
	}
	return fmt.Sprintf("no VRRP socket: %v", in.sockErr)
}

// holds reports whether the addresses are known to be in the kernel.
func (in *instance) holds() bool { return in.want.Hold && in.held.Held }

const (
	// demotedPriority is below that of every router that is not demoted.
	demotedPriority = 1
	// loweredAtMost is the least that is left of a lowered priority.
	loweredAtMost = 2
)

// priority returns the effective priority.
func (in *instance) priority(fit ipc.Fitness) uint8 {
	if fit.Demoted {
		return demotedPriority
	}
	base := in.cfg.Params.Priority
	if by := fit.Lowered[in.cfg.VIP].By; by > 0 {
		return uint8(max(loweredAtMost, int(base)-int(by)))
	}
	return base
}

// standsBack says why the router's priority is not the configured one.
func (in *instance) standsBack(fit ipc.Fitness) string {
	if fit.Demoted {
		return fit.Reason
	}
	return fit.Lowered[in.cfg.VIP].Reason
}

// linger returns how long a successor may take to be heard, even if the
// resignation is lost.
func (in *instance) linger() time.Duration {
	return min(lingerAtMost, 4*in.vr.Status().Interval+50*time.Millisecond)
}

// failed says why the node has to give the addresses up although it was
// elected; nil when it need not. A node that cannot hold an address must not
// advertise it, and one that cannot advertise must not hold it.
func (in *instance) failed(now time.Time) error {
	// What was not done while nothing was done is no failure of the kernel.
	unanswered := func(since time.Time) bool {
		return now.Sub(since) > in.cfg.Lease && now.Sub(in.awake) > in.cfg.Lease
	}
	switch {
	case !in.holds() && in.held.Err != nil:
		return in.held.Err
	case !in.holds() && unanswered(in.claimedAt):
		return fmt.Errorf("the kernel did not set them within the lease of %v", in.cfg.Lease)
	case in.holds() && now.Sub(in.held.At) > in.cfg.Lease && in.held.Err != nil:
		return fmt.Errorf("the lease ran out: %w", in.held.Err)
	case in.holds() && unanswered(in.held.At):
		return fmt.Errorf("the kernel did not renew them within the lease of %v", in.cfg.Lease)
	case in.sendErr != nil && now.Sub(in.sendSince) > in.cfg.Lease:
		return fmt.Errorf("nobody hears this node: %w", in.sendErr)
	}
	return nil
}

// next returns when the core has to look at the instance again; zero for never.
func (in *instance) next() time.Time {
	next := in.vr.Next()
	consider := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if in.want.Hold {
		consider(in.renewAt)
	}
	if in.holds() { // before that there is nothing to announce
		consider(in.burst.next)
		consider(in.probeAt)
	}
	if in.sock == nil {
		consider(in.reopenAt)
	}
	if !in.started {
		consider(in.holdUntil)
		consider(in.sweepAt)
	}
	return next
}

// announce begins a burst of announcements, in an epoch above all that are known,
// and reports whether it did. Noise on the network must not become a storm: when
// bursts have begun too often lately, the one that is under way has to do.
func (in *instance) announce(now time.Time) bool {
	if !in.bursts.Allow(now) {
		return false
	}
	in.epoch = max(in.epoch, in.heard) + 1
	in.burst.start(now)
	return true
}

// waits reports whether f is among the frames that wait.
func (in *instance) waits(f ownership.Frame) bool {
	for _, queued := range in.frames {
		if queued == f {
			return true
		}
	}
	return false
}

// remember keeps a change of role for those who ask later.
func (in *instance) remember(c vrrp.Change) {
	if len(in.changes) == maxChanges {
		in.changes = in.changes[1:]
	}
	in.changes = append(in.changes, c)
}

// state is what the supervisor is told.
func (in *instance) state(now time.Time, fit ipc.Fitness) ipc.RouterState {
	s := ipc.RouterState{
		Name: in.cfg.Name, Status: in.vr.Status(), Holds: in.holds(), Epoch: in.epoch, Heard: in.heard,
		Changes: in.changes, Flapping: in.flapping(now), Conflict: in.conflict, Removals: in.removals, Lease: in.lease,
	}
	switch why := in.blocked(now, fit); {
	case why != "":
		s.Error = why
	case in.group.blocked != "":
		s.Error = in.group.blocked
	case in.want.Hold && in.sendErr != nil:
		s.Error = in.sendErr.Error()
	case in.want.Hold && in.held.Err != nil:
		s.Error = in.held.Err.Error()
	}
	return s
}
