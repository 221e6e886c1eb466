package agent

import (
	"fmt"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/vip"
	"github.com/tandemlb/tandem/vrrp"
)

// Why a virtual router is kept out of the election. Several may hold at once;
// the first that does is the one that is shown.
const (
	// holdDown is how long a node that could not hold an address stays away,
	// so that it does not take the VIP only to drop it again.
	holdDown = 10 * time.Second
	// reopenEvery is how often a socket that could not be opened, or a sweep that
	// did not succeed, is tried again.
	reopenEvery = time.Second
)

// instance is a virtual router of this node with all that the loop knows of it.
type instance struct {
	cfg  ipc.Router
	vr   *vrrp.Router
	sock *sharedSocket // nil while it cannot be opened
	want want

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
	held      fact // newest word of the owner
	claimedAt time.Time
	renewAt   time.Time
	burst     burst
	bursts    vip.Healer // limits how often a burst begins anew
	epoch     uint64     // of the newest burst
	heard     uint64     // highest epoch of another node
	healer    vip.Healer
}

func newInstance(cfg ipc.Router) (*instance, error) {
	vr, err := vrrp.NewRouter(cfg.Params)
	if err != nil {
		return nil, fmt.Errorf("vip %q: %w", cfg.Name, err)
	}
	return &instance{cfg: cfg, vr: vr, want: want{router: cfg}}, nil
}

// blocked says why the router must not take part in the election; empty when
// nothing speaks against it.
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
func (in *instance) holds() bool { return in.want.hold && in.held.held }

// demotedPriority is below that of every router that is not demoted.
const demotedPriority = 1

// priority returns the effective priority.
func (in *instance) priority(fit ipc.Fitness) uint8 {
	if fit.Demoted {
		return demotedPriority
	}
	return in.cfg.Params.Priority
}

// failed says why the node has to give the addresses up although it was
// elected; nil when it need not. A node that cannot hold an address must not
// advertise it, and one that cannot advertise must not hold it.
func (in *instance) failed(now time.Time) error {
	switch {
	case !in.holds() && in.held.err != nil:
		return in.held.err
	case !in.holds() && now.Sub(in.claimedAt) > in.cfg.Lease:
		return fmt.Errorf("the kernel did not set them within the lease of %v", in.cfg.Lease)
	case in.holds() && now.Sub(in.held.at) > in.cfg.Lease && in.held.err != nil:
		return fmt.Errorf("the lease ran out: %w", in.held.err)
	case in.holds() && now.Sub(in.held.at) > in.cfg.Lease:
		return fmt.Errorf("the kernel did not renew them within the lease of %v", in.cfg.Lease)
	case in.sendErr != nil && now.Sub(in.sendSince) > in.cfg.Lease:
		return fmt.Errorf("nobody hears this node: %w", in.sendErr)
	}
	return nil
}

// next returns when the loop has to look at the instance again; zero for never.
func (in *instance) next() time.Time {
	next := in.vr.Next()
	consider := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if in.want.hold {
		consider(in.renewAt)
	}
	if in.holds() {
		consider(in.burst.next) // before that there is nothing to announce
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

// state is what the supervisor is told.
func (in *instance) state(now time.Time, fit ipc.Fitness) ipc.RouterState {
	s := ipc.RouterState{Name: in.cfg.Name, Status: in.vr.Status(), Holds: in.holds(), Epoch: in.epoch, Heard: in.heard}
	switch {
	case in.blocked(now, fit) != "":
		s.Error = in.blocked(now, fit)
	case in.want.hold && in.sendErr != nil:
		s.Error = in.sendErr.Error()
	case in.want.hold && in.held.err != nil:
		s.Error = in.held.err.Error()
	}
	return s
}
