package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/internal/lab/faulty"
)

type demoCmd struct {
	Advertise time.Duration `default:"100ms" help:"Advertisement interval of the pair, from 10ms: a takeover after a death takes three of them and a little."`
	Rounds    int           `default:"1" help:"How often to go through the events."`
	SVG       string        `name:"svg" default:"tandem-demo.svg" placeholder:"FILE" help:"Draw the picture here; an empty name draws none."`
	Keep      bool          `help:"Keep the folder with the config and the logs of the nodes."`

	ActiveActive bool `help:"Two VIPs, each node preferred for one: both nodes serve, and each backs the other."`

	Faults bool `help:"Instead of the nodes, one of the servers fails, in one way after another."`

	Prober string `hidden:"" placeholder:"ADDRESS" help:"Be the client of this address: write samples to standard output."`
}

func (demoCmd) Help() string {
	return `Example:

  sudo tandem demo
  sudo tandem demo --advertise 10ms --rounds 5
  sudo tandem demo --active-active
  sudo tandem demo --faults

Everything happens in network namespaces of this process: the network of this
machine is not touched, and nothing is left behind, whether the demo ends by
itself or by Ctrl-C. The exit status is 1 when a takeover did not happen.`
}

// Run shows a failover.
func (c *demoCmd) Run(ctx context.Context, o output) error {
	if c.Prober != "" {
		target, err := netip.ParseAddr(c.Prober)
		if err != nil {
			return fmt.Errorf("--prober: %w", err)
		}
		return failover.RunProber(ctx, target, o.out)
	}
	if c.Rounds < 1 {
		return fmt.Errorf("--rounds %d: at least one is needed", c.Rounds)
	}
	if c.Faults && (c.ActiveActive || c.Rounds > 1) {
		return errors.New("--faults: it has one VIP, and one round")
	}
	view := newDemoView(o.out)
	d := &demo{plot: c.plot(), view: view, advertise: c.Advertise}
	play, spec := c.play, failover.Spec{Addresses: d.plot.addresses()}
	if c.Faults {
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
	if c.Keep || err != nil && !interrupted {
		view.print("config and logs are in %s", dir)
		return err
	}
	return errors.Join(err, os.RemoveAll(dir))
}

// plot is what the flags ask for.
func (c *demoCmd) plot() *demoPlot {
	switch {
	case c.Faults:
		return faultsPlot(c.Advertise, 0)
	case c.ActiveActive:
		return twoPlot(c.Advertise)
	}
	return onePlot(c.Advertise)
}

// play stages the events and reports on them.
func (c *demoCmd) play(ctx context.Context, d *demo) error {
	if err := d.start(ctx); err != nil {
		return err
	}
	stopWatch := d.watch(ctx)
	err := d.rounds(ctx, c.Rounds)
	stopWatch()
	if err == nil {
		err = d.scene.StopTraffic()
	}
	end := time.Now()
	if err == nil {
		err = d.oneOwner()
	}
	d.report(end)
	return errors.Join(err, c.draw(d, end))
}

// draw draws a picture for each VIP.
func (c *demoCmd) draw(d *demo, end time.Time) error {
	if c.SVG == "" || len(d.outcomes) == 0 {
		return nil
	}
	for i, v := range d.plot.vips {
		name, path := "", c.SVG
		if len(d.plot.vips) > 1 {
			name = fmt.Sprintf(", VIP %s", v.name)
			extension := filepath.Ext(path)
			path = strings.TrimSuffix(path, extension) + "-" + v.name + extension
		}
		title := fmt.Sprintf("Answered and failed requests, one a millisecond, advertise: %s%s", c.Advertise, name)
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
