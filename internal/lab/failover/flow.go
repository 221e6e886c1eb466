package failover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/probe"
)

// A Flow is an address that the pair shares, and the traffic to it.
type Flow struct {
	Address netip.Prefix
	Traffic *probe.Recorder

	lab    *lab.Lab
	prober *lab.Process
}

// start starts the prober, as a process of the client whose standard output is
// recorded. The returned function records until that ends.
func (f *Flow) start(command *exec.Cmd) (record func(), err error) {
	in, out, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start prober: %w", err)
	}
	defer out.Close()
	command.Stdout, command.Stderr = out, os.Stderr
	if f.prober, err = f.lab.Host(Client).Start(command); err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return func() {
		defer in.Close()
		_ = f.Traffic.Record(in) // whoever waits for traffic is told
	}, nil
}

func (f *Flow) stop() error {
	if err := f.prober.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := f.prober.Err(); err != nil {
		return fmt.Errorf("stop prober: %w", err)
	}
	return nil
}

// RunProber asks the address every millisecond on port 80, from the network of the
// calling process, until ctx is canceled. It writes to out what StartTraffic
// reads. The process is to do nothing else.
func RunProber(ctx context.Context, target netip.Addr, out io.Writer) error {
	// Where this is not permitted, the measurement is merely less exact.
	_ = probe.Prioritize()
	return probe.Prober{Target: netip.AddrPortFrom(target, 80), Every: time.Millisecond}.Run(ctx, out)
}

// Owners returns the load balancers whose kernel holds the address.
func (f *Flow) Owners() ([]string, error) {
	var owners []string
	for _, node := range Nodes() {
		has, err := f.lab.Host(node.Name).Has(f.Address.Addr())
		if err != nil {
			return nil, err
		}
		if has {
			owners = append(owners, node.Name)
		}
	}
	return owners, nil
}

// WaitOwner waits until the node owns the address.
func (f *Flow) WaitOwner(ctx context.Context, node string) error {
	err := f.wait(ctx, takeoverWithin, func(owners []string) (bool, error) { return slices.Contains(owners, node), nil })
	if err != nil {
		return fmt.Errorf("%s does not take the address: %w", node, err)
	}
	return nil
}

// waitHeard waits until the node is an owner, and the one that the client
// believes. An owner that died may still hold the address.
func (f *Flow) waitHeard(ctx context.Context, node string) error {
	return f.wait(ctx, takeoverWithin, func(owners []string) (bool, error) {
		if !slices.Contains(owners, node) {
			return false, nil
		}
		mac, err := f.lab.Host(node).MAC()
		if err != nil {
			return false, err
		}
		believed, err := f.lab.Host(Client).Neighbor(f.Address.Addr())
		return bytes.Equal(mac, believed), err
	})
}

// wait polls the owners of the address until accept says that they are right.
func (f *Flow) wait(ctx context.Context, within time.Duration, accept func([]string) (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("not within %s", within))
	defer cancel()
	for {
		owners, err := f.Owners()
		if err != nil {
			return err
		}
		if ok, err := accept(owners); ok || err != nil {
			return err
		}
		if err := Pause(ctx, pollEvery); err != nil {
			return fmt.Errorf("%w: it is held by %q", err, owners)
		}
	}
}

// WaitCalm waits until every request of the last moments was answered, and
// returns the time up to which that is known.
func (f *Flow) WaitCalm(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, takeoverWithin, fmt.Errorf("not within %s", takeoverWithin))
	defer cancel()
	last := errors.New("no request was sent")
	for begin := time.Now(); ; {
		now := time.Now()
		if err := f.Traffic.WaitSettled(ctx, now); err != nil {
			return now, errors.Join(fmt.Errorf("traffic does not flow: %w", err), last)
		}
		w := f.Traffic.Window(now.Add(-calm), now)
		// What took long to settle may have been followed by worse.
		fresh := time.Since(now) < calm
		if w.Requests > 0 && w.Failed == 0 && fresh && now.Sub(begin) >= calm {
			return now, nil
		}
		last = fmt.Errorf("%d of %d requests failed at last", w.Failed, w.Requests)
		if err := Pause(ctx, 10*pollEvery); err != nil {
			return now, errors.Join(fmt.Errorf("traffic does not flow: %w", err), last)
		}
	}
}
