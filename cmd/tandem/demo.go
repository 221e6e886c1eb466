package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/internal/lab/report"
)

type demoCmd struct {
	Advertise time.Duration `default:"100ms" help:"Advertisement interval of the pair, from 10ms: a takeover after a death takes three of them and a little."`
	Rounds    int           `default:"1" help:"How often to go through the events."`
	SVG       string        `name:"svg" default:"tandem-demo.svg" placeholder:"FILE" help:"Draw the picture here; an empty name draws none."`
	Keep      bool          `help:"Keep the folder with the config and the logs of the nodes."`

	Prober bool `hidden:"" help:"Be the client: write samples to standard output."`
}

func (demoCmd) Help() string {
	return `Example:

  sudo tandem demo
  sudo tandem demo --advertise 10ms --rounds 5

Everything happens in network namespaces of this process: the network of this
machine is not touched, and nothing is left behind, whether the demo ends by
itself or by Ctrl-C. The exit status is 1 when a takeover did not happen.`
}

// Run shows a failover.
func (c *demoCmd) Run(ctx context.Context, o output) error {
	if c.Prober {
		return failover.RunProber(ctx, o.out)
	}
	if c.Rounds < 1 {
		return fmt.Errorf("--rounds %d: at least one is needed", c.Rounds)
	}
	scene, err := failover.NewScene()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tandem-demo-")
	if err != nil {
		return errors.Join(fmt.Errorf("make a folder for config and logs: %w", err), scene.Close())
	}
	view := newDemoView(o.out)
	err = errors.Join(c.play(ctx, scene, dir, view), scene.Close())
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

// play stages the events and reports on them.
func (c *demoCmd) play(ctx context.Context, scene *failover.Scene, dir string, view *demoView) error {
	pair, err := failover.NewTandem(scene, "/proc/self/exe", dir, c.Advertise)
	if err != nil {
		return err
	}
	view.print(demoIntro, failover.Config(c.Advertise))
	d := &demo{scene: scene, pair: pair, view: view, advertise: c.Advertise}
	if err := d.start(ctx); err != nil {
		return err
	}
	stopWatch := d.watch(ctx)
	err = d.rounds(ctx, c.Rounds)
	stopWatch()
	if err == nil {
		err = scene.StopTraffic()
	}
	end := time.Now()
	if err == nil {
		err = d.oneOwner()
	}
	d.report(end)
	return errors.Join(err, c.draw(d.timeline(end), view))
}

func (c *demoCmd) draw(t report.Timeline, view *demoView) error {
	if c.SVG == "" || len(t.Marks) == 0 {
		return nil
	}
	title := fmt.Sprintf("Answered and failed requests, one a millisecond, advertise: %s", c.Advertise)
	if err := os.WriteFile(c.SVG, []byte(t.SVG(title)), 0o644); err != nil {
		return fmt.Errorf("draw the picture: %w", err)
	}
	view.print("picture: %s", c.SVG)
	return nil
}

// proberCommand runs this program as the client.
func proberCommand() *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", "demo", "--prober")
	cmd.Args[0] = "tandem"
	return cmd
}
