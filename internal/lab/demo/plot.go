package demo

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/tandemlb/tandem/internal/lab/failover"
)

// plot is what a demo stages: a pair, and what happens to it.
type plot struct {
	intro  string
	config string
	ready  string // what is so when both nodes are
	vips   []sharedVIP
	events func(d *demo) []failover.Event
	// again leads from the end of a round to the beginning of the next; nil if that
	// is the same.
	again func(d *demo) (failover.Event, error)
}

// sharedVIP is an address of a plot, and who is preferred for it.
type sharedVIP struct {
	name    string
	address netip.Prefix
	first   string
}

func (p *plot) addresses() []netip.Prefix {
	var all []netip.Prefix
	for _, v := range p.vips {
		all = append(all, v.address)
	}
	return all
}

const oneIntro = `Two load balancers, three servers and a client, in network namespaces:

    client  10.77.0.50    a new connection and a request every millisecond
       │
    VIP     10.77.0.100   the address that must always answer
     ╱   ╲
   lb1   lb2              10.77.0.1, 10.77.0.2: one owns the VIP, both could
     ╲   ╱
  s1  s2  s3              10.77.0.11 to .13

The whole config, the same on both nodes:

`

// onePlot is a pair with one VIP, which moves.
func onePlot(advertise time.Duration) *plot {
	const a, b = failover.LB1, failover.LB2
	starts := func(d *demo) failover.Event {
		return failover.Event{Name: "lb1 starts again", Heirs: []string{a}, Do: func() error { return d.pair.Start(a) }}
	}
	return &plot{
		intro: oneIntro, config: failover.Config(advertise),
		ready: "lb1 is active, lb2 is backup",
		vips:  []sharedVIP{{"main", failover.VIP(), a}},
		events: func(d *demo) []failover.Event {
			lb1 := d.scene.Lab.Host(a)
			return []failover.Event{
				{Name: "every process of lb1 killed", Heirs: []string{b}, Do: func() error { return d.pair.Kill(a) }},
				starts(d),
				{Name: "link of lb1 cut", Heirs: []string{b}, Do: lb1.Cut},
				{Name: "link of lb1 healed", Heirs: []string{a}, Do: lb1.Heal},
				{Name: "lb1 told to stop (SIGTERM)", Heirs: []string{b}, Do: func() error { return d.pair.Stop(a) }},
			}
		},
		again: func(d *demo) (failover.Event, error) { return starts(d), d.pair.WaitStopped(a, stopWithin) },
	}
}

const twoIntro = `Two load balancers, three servers and a client, in network namespaces:

    client  10.77.0.50    two new connections and requests every millisecond,
     ╱   ╲                one to each VIP
  VIP     VIP             one, 10.77.0.100: lb1 is preferred; two, 10.77.0.101: lb2 is
   │       │
   lb1   lb2              10.77.0.1, 10.77.0.2: both serve, and each backs the other
     ╲   ╱
  s1  s2  s3              10.77.0.11 to .13

The whole config, the same on both nodes:

`

// twoPlot is a pair with two VIPs, where each node is preferred for one.
func twoPlot(advertise time.Duration) *plot {
	const a, b = failover.LB1, failover.LB2
	return &plot{
		intro: twoIntro, config: failover.ConfigOfTwo(advertise),
		ready: "each node owns its VIP",
		vips:  []sharedVIP{{"one", failover.VIP(), a}, {"two", failover.VIP2(), b}},
		events: func(d *demo) []failover.Event {
			var events []failover.Event
			for _, node := range []string{a, b} {
				heir := map[string]string{a: b, b: a}[node]
				events = append(events,
					failover.Event{
						Name: fmt.Sprintf("every process of %s killed", node), Heirs: []string{heir, heir},
						Do: func() error { return d.pair.Kill(node) },
					},
					failover.Event{
						Name: fmt.Sprintf("%s starts again", node), Heirs: []string{a, b},
						Do: func() error { return d.pair.Start(node) },
					})
			}
			return events
		},
	}
}
