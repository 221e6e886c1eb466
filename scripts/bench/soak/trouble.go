package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/scripts/bench/side"
	"github.com/tandemlb/tandem/vrrp"
)

const (
	readyWithin = 30 * time.Second
	// excused is for how long after a trouble began requests may still begin and fail.
	excused = 3 * time.Second
	// mended is the same after it was mended: a node that was cut off may take the address
	// back, and finds its servers down until two checks in a row have succeeded.
	mended = 6 * time.Second
	// apart is how long a trouble lasts before it is mended.
	apart = 5 * time.Second
)

// A window is a time in which requests may fail, and why.
type window struct {
	Name       string
	From, To   time.Time
	Unexpected bool `json:",omitempty"` // nothing was done that should have caused it
}

// A pair is what the troubles befall. Its methods are for one goroutine.
type pair struct {
	scene  *failover.Scene
	tandem *failover.Tandem
	files  side.Files

	windows []window
	reloads []time.Time
	odd     bool // which of the two configs it has
}

// reload gives both nodes the other config, once they are well.
func (p *pair) reload(ctx context.Context) error {
	if _, err := p.ready(ctx); err != nil {
		return err
	}
	p.odd = !p.odd
	if err := p.tandem.Configure(pairConfig(p.files, p.odd)); err != nil {
		return err
	}
	for _, n := range failover.Nodes() {
		ctx, cancel := context.WithTimeout(ctx, readyWithin)
		err := admin.NewClient(p.tandem.Socket(n.Name)).Reload(ctx)
		cancel()
		if err != nil {
			return fmt.Errorf("reload %s: %w", n.Name, err)
		}
	}
	p.reloads = append(p.reloads, time.Now())
	return nil
}

// ready waits until one node is active, the other is its backup, and both find every
// server up. It returns the active one.
func (p *pair) ready(ctx context.Context) (active string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, fmt.Errorf("not within %s", readyWithin))
	defer cancel()
	for {
		roles := make(map[vrrp.Role]string)
		for _, n := range failover.Nodes() {
			if role, ok := p.role(ctx, n.Name); ok {
				roles[role] = n.Name
			}
		}
		if roles[vrrp.Active] != "" && roles[vrrp.Backup] != "" {
			return roles[vrrp.Active], nil
		}
		if err := failover.Pause(ctx, 50*time.Millisecond); err != nil {
			return "", fmt.Errorf("the pair does not get ready: %w", err)
		}
	}
}

// role returns the role of a node that is well, and whether it is.
func (p *pair) role(ctx context.Context, node string) (vrrp.Role, bool) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	s, err := admin.NewClient(p.tandem.Socket(node)).Status(ctx)
	if err != nil || len(s.VIPs) != 1 || s.VIPs[0].Holds != (s.VIPs[0].Role == vrrp.Active) || len(s.Peers) != 1 || s.Peers[0].Hash == "" {
		return 0, false
	}
	for _, pool := range s.Pools {
		if slices.ContainsFunc(pool.Servers, func(v admin.Server) bool { return v.Health == "down" }) {
			return 0, false
		}
	}
	return s.VIPs[0].Role, true
}

// A trouble takes the address from a node, and is mended later.
type trouble struct {
	name string
	do   func(p *pair, node string) error
	mend func(p *pair, node string) error // nil: there is nothing to mend
	only string                           // the node that it may befall; "": either
}

// troubles come in this order: each kind at the beginning, and then those alone that no
// process ends by, so that there is something to be seen of how long they live.
func troubles(n int) trouble {
	cut := trouble{
		name: "link cut",
		do:   func(p *pair, node string) error { return p.scene.Lab.Host(node).Cut() },
		mend: func(p *pair, node string) error { return p.scene.Lab.Host(node).Heal() },
	}
	silent := trouble{
		name: "switch port dead, carrier up",
		do:   func(p *pair, node string) error { return p.scene.Lab.Host(node).CutSilently() },
		mend: func(p *pair, node string) error { return p.scene.Lab.Host(node).Heal() },
	}
	agent := trouble{name: "agent killed", do: func(p *pair, node string) error {
		pid, err := p.tandem.Agent(node)
		if err != nil {
			return err
		}
		return syscall.Kill(pid, syscall.SIGKILL)
	}}
	worker := trouble{name: "worker killed", only: failover.LB1, do: killWorker}
	all := trouble{
		name: "every process killed", only: failover.LB1,
		do:   func(p *pair, node string) error { return p.tandem.Kill(node) },
		mend: func(p *pair, node string) error { return p.tandem.Start(node) },
	}
	begin := []trouble{cut, agent, silent, worker, agent, all}
	if n < len(begin) {
		return begin[n]
	}
	return []trouble{cut, silent}[(n-len(begin))%2]
}

func killWorker(p *pair, node string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s, err := admin.NewClient(p.tandem.Socket(node)).Status(ctx)
	if err != nil {
		return err
	}
	if s.Worker.PID == 0 {
		return errors.New("there is no worker")
	}
	return syscall.Kill(s.Worker.PID, syscall.SIGKILL)
}

// fail brings trouble n over the active node, and mends it. It reports whether it was
// that one: what may befall the other node alone waits, and the address goes there first.
func (p *pair) fail(ctx context.Context, n int) (done bool, err error) {
	active, err := p.ready(ctx)
	if err != nil {
		return false, err
	}
	t := troubles(n)
	done = t.only == "" || t.only == active
	if !done {
		t = troubles(0)
	}
	p.mark(fmt.Sprintf("%s: %s", active, t.name), excused)
	if err := t.do(p, active); err != nil {
		return done, fmt.Errorf("%s of %s: %w", t.name, active, err)
	}
	if t.mend == nil {
		return done, nil
	}
	if err := failover.Pause(ctx, apart); err != nil {
		// It is mended all the same.
		return done, errors.Join(err, t.mend(p, active))
	}
	p.mark(fmt.Sprintf("%s: mended (%s)", active, t.name), mended)
	return done, t.mend(p, active)
}

func (p *pair) mark(name string, excuse time.Duration) {
	now := time.Now()
	p.windows = append(p.windows, window{Name: name, From: now, To: now.Add(excuse)})
}
