package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/tandemlb/tandem/internal/lab/demo"
	"github.com/tandemlb/tandem/internal/lab/failover"
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
	return demo.Options{
		Advertise: c.Advertise, Rounds: c.Rounds, SVG: c.SVG, Keep: c.Keep,
		ActiveActive: c.ActiveActive, Faults: c.Faults,
	}.Run(ctx, o.out)
}
