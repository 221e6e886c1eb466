// Package demo shows a pair of load balancers through failovers, or servers that
// fail under it, in network namespaces of its own: what happens as it happens, a
// table, and a picture.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/internal/lab/faulty"
)

// Options say what is to be shown.
type Options struct {
	Advertise time.Duration // advertisement interval of the pair
	Rounds    int           // how often to go through the events, at least 1
	SVG       string        // file of the picture; none if empty
	Keep      bool          // the folder with config and logs

	ActiveActive bool // two VIPs, each node preferred for one
	Faults       bool // of servers instead of nodes; with one VIP, and one round
}

// Run shows a failover, and writes what it shows to out. The program that runs it is
// that of the nodes, and of the client: `tandem`.
func (o Options) Run(ctx context.Context, out io.Writer) error {
	if o.Rounds < 1 {
		return fmt.Errorf("--rounds %d: at least one is needed", o.Rounds)
	}
	if o.Faults && (o.ActiveActive || o.Rounds > 1) {
		return errors.New("--faults: it has one VIP, and one round")
	}
	view := newView(out)
	d := &demo{plot: o.plot(), view: view, advertise: o.Advertise}
	play, spec := o.play, failover.Spec{Addresses: d.plot.addresses()}
	if o.Faults {
		f := &faultsDemo{demo: d, servers: make(map[string]*faulty.Server)}
		play, spec.Serve = func(ctx context.Context, _ *demo) error { return f.play(ctx) }, f.serve
	}
	dir, err := os.MkdirTemp("", "tandem-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for config and logs: %w", err)
	}
	if d.scene, err = failover.NewScene(spec); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	if d.pair, err = failover.NewTandem(d.scene, "/proc/self/exe", dir, d.plot.config); err == nil {
		view.print("%s%s", d.plot.intro, d.plot.config)
		err = play(ctx, d)
	}
	err = errors.Join(err, d.scene.Close())
	interrupted := ctx.Err() != nil
	if interrupted {
		err = errors.New("interrupted") // what failed, failed for that
	}
	if o.Keep || err != nil && !interrupted {
		view.print("config and logs are in %s", dir)
		return err
	}
	return errors.Join(err, os.RemoveAll(dir))
}

// plot is what the options ask for.
func (o Options) plot() *plot {
	switch {
	case o.Faults:
		return faultsPlot(o.Advertise, 0)
	case o.ActiveActive:
		return twoPlot(o.Advertise)
	}
	return onePlot(o.Advertise)
}

// play stages the events and reports on them.
func (o Options) play(ctx context.Context, d *demo) error {
	if err := d.start(ctx); err != nil {
		return err
	}
	stopWatch := d.watch(ctx)
	err := d.rounds(ctx, o.Rounds)
	stopWatch()
	if err == nil {
		err = d.scene.StopTraffic()
	}
	end := time.Now()
	if err == nil {
		err = d.oneOwner()
	}
	d.report(end)
	return errors.Join(err, o.draw(d, end))
}

// draw draws a picture for each VIP.
func (o Options) draw(d *demo, end time.Time) error {
	if o.SVG == "" || len(d.outcomes) == 0 {
		return nil
	}
	for i, v := range d.plot.vips {
		name, path := "", o.SVG
		if len(d.plot.vips) > 1 {
			name = fmt.Sprintf(", VIP %s", v.name)
			extension := filepath.Ext(path)
			path = strings.TrimSuffix(path, extension) + "-" + v.name + extension
		}
		title := fmt.Sprintf("Answered and failed requests, one a millisecond, advertise: %s%s", o.Advertise, name)
		if err := os.WriteFile(path, []byte(d.timeline(i, end).SVG(title)), 0o644); err != nil {
			return fmt.Errorf("draw the picture: %w", err)
		}
		d.view.print("picture: %s", path)
	}
	return nil
}

// proberCommand runs this program as the client of an address.
func proberCommand(target netip.Addr) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", "demo", "--prober", target.String())
	cmd.Args[0] = "tandem"
	return cmd
}
