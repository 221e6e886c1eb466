package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/internal/lab/faulty"
	"github.com/tandemlb/tandem/internal/lab/report"
)

const faultsIntro = `Two load balancers, three servers and a client, in network namespaces. s2,
10.77.0.12, misbehaves in one way after another; the client sends a new connection
and a request every millisecond, and knows nothing of it.

The whole config, the same on both nodes:

`

// faultsPool bears failures by every means there is.
const faultsPool = `    check: {http: GET /healthz, every: 200ms, fall: 2}
    outlier: {consecutive: 5, eject: 30s}
    breaker: true
    retry: {attempts: 2, on: [connect, reset, empty, timeout, 502, 503, 504], backoff: 5ms}
    timeouts: {response: 200ms, body_idle: 200ms}
`

const (
	faultFor = 2 * time.Second
	// quietFor is how long a server has met no request that is out of rotation. In
	// turn, it would meet a hundred.
	quietFor = 300 * time.Millisecond
	// faultLookBack is how long before the fault a request may have been sent that met
	// it. All was calm then.
	faultLookBack = 20 * time.Millisecond
)

// faultsShown are the ways in which a server misbehaves.
func faultsShown() []faulty.Fault {
	return []faulty.Fault{
		{Kind: faulty.Refuse},
		{Kind: faulty.Reset},
		{Kind: faulty.ResetAt},
		{Kind: faulty.CloseAt, Bytes: 12},
		{Kind: faulty.StallHead},
		{Kind: faulty.StallBody, Bytes: 1},
		{Kind: faulty.Slow, Rate: 2000},
		{Kind: faulty.Status, Status: 503},
		{Kind: faulty.Status, Status: 503, Hit: 4, Of: 6},
		{Kind: faulty.LongBody, Bytes: 8},
		{Kind: faulty.ShortBody, Bytes: 8},
		{Kind: faulty.Garbage},
		{Kind: faulty.Double},
		{Kind: faulty.BadChunks},
	}
}

// faultOutcome is what came of a fault.
type faultOutcome struct {
	fault    faulty.Fault
	requests int
	failed   int // seen by the client
	retries  int
	did, why string        // what Tandem did, and the evidence if it has any
	out      time.Duration // until the server met no request any more; 0: it did to the end
}

// faultsDemo shows what becomes of a server that misbehaves.
type faultsDemo struct {
	*demo
	servers  map[string]*faulty.Server // by name
	outcomes []faultOutcome
}

// bad is the server that misbehaves.
const bad = "s2"

func badAddress() string {
	for _, s := range failover.Servers() {
		if s.Name == bad {
			return netip.AddrPortFrom(s.Addresses[0].Addr(), 80).String()
		}
	}
	return ""
}

// serve starts one of the servers.
func (d *faultsDemo) serve(host *lab.Host, spec lab.HostSpec) (io.Closer, error) {
	s, err := faulty.Start(faulty.Options{
		Address: netip.AddrPortFrom(spec.Addresses[0].Addr(), 80).String(),
		Listen:  host.Listen, Body: spec.Name, Spare: "/healthz",
	})
	if err != nil {
		return nil, err
	}
	d.servers[spec.Name] = s
	return s, nil
}

// faultsPlot is a pair with one VIP. Of its pools, there is one for each fault: what
// is known of a server is known by its pool, so that each begins anew.
func faultsPlot(advertise time.Duration, i int) *plot {
	return &plot{
		intro: faultsIntro, config: failover.ConfigOfPool(advertise, faultsPoolName(i), faultsPool),
		ready: "lb1 is active, lb2 is backup",
		vips:  []sharedVIP{{"main", failover.VIP(), failover.LB1}},
	}
}

func faultsPoolName(i int) string { return "web" + strconv.Itoa(i+1) }

// play lets s2 misbehave, and reports.
func (d *faultsDemo) play(ctx context.Context) error {
	if err := d.start(ctx); err != nil {
		return err
	}
	stopWatch := d.watch(ctx)
	err := d.misbehave(ctx)
	stopWatch()
	if err == nil {
		err = d.scene.StopTraffic()
	}
	if len(d.outcomes) > 0 {
		d.view.print("\n%s", faultsTable(d.outcomes))
		d.view.print("Retries are of the whole pool. A server is out when no request meets it any more.")
	}
	return err
}

func (d *faultsDemo) misbehave(ctx context.Context) error {
	log := &accessLog{path: d.pair.LogFile(failover.LB1)}
	for i, f := range faultsShown() {
		if i > 0 {
			if err := d.renew(ctx, i); err != nil {
				return err
			}
		}
		if _, err := d.scene.WaitCalm(ctx); err != nil {
			return err
		}
		d.view.happens(bad + ": " + f.String())
		o, err := d.endure(ctx, log, f)
		d.view.happens("")
		if err != nil {
			return fmt.Errorf("%s of %s: %w", f, bad, err)
		}
		d.outcomes = append(d.outcomes, o)
		d.view.print("  %-28s %5d requests, %3d failed, %3d sent again; %s", o.fault, o.requests, o.failed, o.retries, o.end())
	}
	return nil
}

// renew gives the servers another pool, and waits until they are healthy in it.
func (d *faultsDemo) renew(ctx context.Context, i int) error {
	if err := d.pair.Configure(faultsPlot(d.advertise, i).config); err != nil {
		return err
	}
	for _, node := range failover.Nodes() {
		if err := admin.NewClient(d.pair.Socket(node.Name)).Reload(ctx); err != nil {
			return fmt.Errorf("reload %s: %w", node.Name, err)
		}
	}
	return d.ready(ctx)
}

// endure lets s2 misbehave for a while.
func (d *faultsDemo) endure(ctx context.Context, log *accessLog, f faulty.Fault) (faultOutcome, error) {
	o := faultOutcome{fault: f}
	if _, err := log.next(); err != nil { // what came before
		return o, err
	}
	from := time.Now()
	if err := d.servers[bad].Set(f); err != nil {
		return o, err
	}
	err := failover.Pause(ctx, faultFor)
	to := time.Now()
	status := d.status(ctx, failover.LB1)
	if err := errors.Join(err, d.servers[bad].Set(faulty.Fault{})); err != nil {
		return o, err
	}
	traffic := d.scene.Flows[0].Traffic
	// A request that is answered when it is late is late by a second at most.
	if err := traffic.WaitSettled(ctx, to); err != nil {
		return o, err
	}
	o.requests = traffic.Window(from, to).Requests
	o.failed = traffic.Window(from.Add(-faultLookBack), to).Failed
	logged, err := log.between(ctx, from.Add(-faultLookBack), to)
	if err != nil {
		return o, err
	}
	o.judge(logged, from, to)
	o.did, o.why = faultReaction(status, o.out > 0)
	return o, nil
}

// judge reads from what was logged of the fault, which lasted from from to to, how
// often requests were sent again, and when the server met its last one.
func (o *faultOutcome) judge(logged []access, from, to time.Time) {
	last := from
	for _, a := range logged {
		o.retries += a.Retries
		if a.touches(badAddress()) && a.Time.After(last) {
			last = a.Time
		}
	}
	if to.Sub(last) >= quietFor {
		o.out = max(last.Sub(from), time.Millisecond)
	}
}

// faultReaction says what the node did about s2, which is out of rotation or not, and
// why.
func faultReaction(s *admin.Status, out bool) (did, why string) {
	if s != nil {
		for _, p := range s.Pools {
			for _, server := range p.Servers {
				if server.Address.String() == badAddress() && server.Health == "down" {
					return "found it down", server.Reason
				}
			}
		}
	}
	if out {
		return "set it aside by its traffic", ""
	}
	return "kept it", ""
}

// end says what happened to the server.
func (o faultOutcome) end() string {
	text := o.did
	if o.out > 0 {
		text += fmt.Sprintf(", out after %s ms", report.Milliseconds(o.out))
	}
	if o.why != "" {
		text += " (" + o.why + ")"
	}
	return text
}

func faultsTable(outcomes []faultOutcome) string {
	cells := [][]string{{"fault of s2", "Tandem", "requests", "failed", "retries", "out after ms"}}
	for _, o := range outcomes {
		out := "-"
		if o.out > 0 {
			out = report.Milliseconds(o.out)
		}
		cells = append(cells, []string{
			o.fault.String(), o.did, strconv.Itoa(o.requests), strconv.Itoa(o.failed), strconv.Itoa(o.retries), out,
		})
	}
	return report.Grid(cells, 2)
}
