package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/vrrp"
)

type statusCmd struct {
	target
	JSON bool `help:"Print JSON."`
	Fit  bool `help:"Fail unless the node is fit to serve, active or not: for health checks."`

	Watch    bool          `short:"w" help:"Show it live, with rates and the last events, until q or Ctrl-C."`
	Interval time.Duration `default:"1s" help:"How often --watch asks the node, from 100ms."`
}

func (statusCmd) Help() string {
	return `Example:

  tandem status
  tandem status --watch
  tandem status --socket https://lb1.example.com:8404 --token-file token
  tandem status --json | jq -r '.vips[].role'
  tandem status --fit || echo out of order

On a terminal, --watch takes the whole of it, and gives it back. Elsewhere it prints
one state after another; with --json, one line each.`
}

// Run prints what the node says of itself and of its peer.
func (c *statusCmd) Run(ctx context.Context, o output) error {
	if c.Watch {
		return c.watch(ctx, o)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	node, err := c.client()
	if err != nil {
		return err
	}
	s, err := node.Status(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(o, s)
	} else {
		err = printStatus(o.out, s, time.Now())
	}
	if err == nil && c.Fit && !s.Fit {
		return fmt.Errorf("the node is not fit: %s", s.Unfit)
	}
	return err
}

// printStatus prints s for a person, as of now.
func printStatus(w io.Writer, s *admin.Status, now time.Time) error {
	p := statusPrinter{w: w, now: now}
	p.node(s)
	p.vips(s.VIPs)
	p.peers(s)
	p.listeners(s.Listeners, s.LogDropped)
	p.traces(s.Traces)
	p.pools(s.Pools)
	p.servers(s.Pools)
	p.discovered(s)
	p.certificates(s.Certificates)
	p.sessions(s)
	return p.err
}

// statusPrinter prints a status in sections, each with columns of its own.
type statusPrinter struct {
	w    io.Writer
	now  time.Time
	some bool // a section has been printed
	err  error
}

// section prints rows, whose cells are separated by tabs.
func (p *statusPrinter) section(rows ...string) {
	if len(rows) == 0 || p.err != nil {
		return
	}
	if p.some {
		fmt.Fprintln(p.w)
	}
	p.some = true
	var text strings.Builder
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(t, r)
	}
	if err := t.Flush(); err != nil {
		p.err = err
		return
	}
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(p.w, strings.TrimRight(line, " \n")); err != nil {
			p.err = err
		}
	}
}

func (p *statusPrinter) node(s *admin.Status) {
	name := s.Node
	if name == "" {
		name = "a single proxy"
	}
	rows := []string{
		fmt.Sprintf("node\t%s, %s, up %s, version %s", name, health(s.Fit, s.Demoted, s.Unfit), age(p.now, s.Started), s.Version),
		fmt.Sprintf("config\t%s, hash %s, loaded %s ago", s.Config.Path, s.Config.Hash, age(p.now, s.Config.Loaded)),
	}
	if s.Config.Refused != "" {
		rows = append(rows, "\tTHE NEWEST CONFIG WAS REFUSED, the old one runs:", "\t"+strings.ReplaceAll(s.Config.Refused, "\n", "\n\t"))
	}
	if a := s.Agent; a != nil {
		rows = append(rows, fmt.Sprintf("agent\t%s, real time: %s, memory locked: %s", process(*a), a.Realtime, a.MemoryLocked))
		if a.Notice != "" {
			rows = append(rows, "\tdeath notice of the peer: "+a.Notice)
		}
	}
	if a := s.Agent; a != nil && a.Slept != nil {
		rows = append(rows, fmt.Sprintf("\tASLEEP for %v, %s ago", a.Slept.For.Round(time.Millisecond), age(p.now, a.Slept.At)))
	}
	rows = append(rows, "worker\t"+process(s.Worker))
	if s.Sandbox != nil {
		rows = append(rows, "\tsandbox: "+s.Sandbox.String())
	}
	if s.Panics > 0 {
		rows = append(rows, fmt.Sprintf("\tALARM: %d connections ended in a panic, each is a bug: see the log", s.Panics))
	}
	if s.Timeline != "" {
		rows = append(rows, "events\tin memory alone, they do not survive the process: "+s.Timeline)
	}
	if s.Cluster != "" {
		rows = append(rows, "cluster\tNOT A MEMBER: "+s.Cluster)
	}
	p.section(rows...)
}

func process(p admin.Process) string {
	text := fmt.Sprintf("pid %d", p.PID)
	if p.PID == 0 {
		text = "NOT RUNNING"
	}
	if p.Restarts > 0 {
		text += fmt.Sprintf(", restarted %d times", p.Restarts)
	}
	if p.Error != "" {
		text += ": " + p.Error
	}
	return text
}

func (p *statusPrinter) vips(all []admin.VIP) {
	var rows []string
	for _, v := range all {
		var addresses []string
		for _, a := range v.Addresses {
			addresses = append(addresses, a.String())
		}
		rows = append(rows,
			fmt.Sprintf("vip\t%s\t%s for %s: %s", v.Name, strings.ToUpper(v.Role.String()), age(p.now, v.Since), v.Reason),
			fmt.Sprintf("\t\t%s on %s, router %d, priority %d", strings.Join(addresses, " "), v.Interface, v.RouterID, v.Priority))
		if v.Role == vrrp.Backup && v.Active.IsValid() {
			rows = append(rows, fmt.Sprintf("\t\t%s is active, with priority %d", v.Active, v.ActivePrio))
		}
		if v.Lowered != nil {
			rows = append(rows, fmt.Sprintf("\t\tlowered from %d: %s", v.Base, v.Lowered.Reason))
		}
		if text := drops(v.Counters); text != "" {
			rows = append(rows, "\t\todd VRRP packets: "+text)
		}
		if v.AddressMismatch {
			rows = append(rows, "\t\tALARM: another router advertises other addresses")
		}
		if k := v.Conflict; k != nil {
			rows = append(rows, fmt.Sprintf("\t\tALARM: %s answers for %s, seen %s ago", k.MAC, k.Address, age(p.now, k.At)))
		}
		if v.Flapping > 0 {
			rows = append(rows, fmt.Sprintf("\t\tALARM: flapping, %d changes of role of late", v.Flapping))
		}
		if v.Removals > 0 {
			rows = append(rows, fmt.Sprintf("\t\tALARM: someone else removed an address, %d times", v.Removals))
		}
		switch {
		case v.Error != "":
			rows = append(rows, "\t\tERROR: "+v.Error)
		case v.Role == vrrp.Active && !v.Holds:
			rows = append(rows, "\t\tERROR: the addresses are not set yet")
		}
	}
	p.section(rows...)
}

// drops lists what a router refused, by reason: another router that speaks an old
// version, say, looks like a pair without a doubt from either side.
func drops(c vrrp.Counters) string {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(c.Dropped)) {
		parts = append(parts, fmt.Sprintf("%s %d", reason, c.Dropped[reason]))
	}
	if c.AddressMismatch > 0 {
		parts = append(parts, fmt.Sprintf("accepted with other addresses %d", c.AddressMismatch))
	}
	return strings.Join(parts, ", ")
}

func (p *statusPrinter) peers(s *admin.Status) {
	var rows []string
	for _, v := range s.Peers {
		if v.Hash == "" {
			text := fmt.Sprintf("peer\t%s\t%s, not heard yet", v.Name, v.Address)
			if v.Error != "" {
				text += ": " + v.Error
			}
			rows = append(rows, text)
			continue
		}
		life := "alive"
		if !v.Alive {
			life = "SILENT"
		}
		var roles string
		for _, vip := range slices.Sorted(maps.Keys(v.Roles)) {
			roles += fmt.Sprintf(", %s: %s", vip, v.Roles[vip])
		}
		rows = append(rows, fmt.Sprintf("peer\t%s\t%s for %s, %s, %s%s", v.Name, life, age(p.now, v.Since), v.Address, health(v.Fit, v.Demoted, v.Unfit), roles))
		if v.Error != "" {
			rows = append(rows, "\t\t"+v.Error)
		}
		if v.Verdict != "" {
			rows = append(rows, fmt.Sprintf("\t\t%s: %s", strings.ToUpper(v.Verdict), v.Explained))
		}
		if v.Slept != nil {
			rows = append(rows, fmt.Sprintf("\t\tASLEEP for %v, %s ago by its clock", v.Slept.For.Round(time.Millisecond), age(p.now, v.Slept.At)))
		}
		if v.Drift {
			rows = append(rows, fmt.Sprintf("\t\tCONFIG DRIFT: it runs %s, this node %s", v.Hash, s.Config.Hash))
		}
	}
	p.section(rows...)
}

func (p *statusPrinter) listeners(all []admin.Listener, logDropped uint64) {
	var rows []string
	for _, l := range all {
		to := "to pool " + l.Pool
		if l.Pool == "" {
			to = "answers itself"
		}
		rows = append(rows, fmt.Sprintf("listener\t%s\t%s %s\t%s\t%d open, %d accepted, %d requests, %d failed",
			l.Name, l.Protocol, strings.Join(l.Bind, " "), to, l.Connections, l.Accepted, l.Requests, l.Failed))
		if text := refusals(l); text != "" {
			rows = append(rows, "\t\trefused: "+text)
		}
	}
	if logDropped > 0 {
		rows = append(rows, fmt.Sprintf("\t\t%d lines of the access log dropped: it is not read fast enough", logDropped))
	}
	p.section(rows...)
}

func (p *statusPrinter) traces(t admin.Traces) {
	if t.Receiver == "" {
		return
	}
	rows := []string{fmt.Sprintf("traces\tto %s\t%d spans sent, %d dropped", t.Receiver, t.Sent, t.Dropped)}
	if t.Error != "" {
		rows = append(rows, "\tERROR: "+t.Error)
	}
	p.section(rows...)
}

// refusals lists what a listener refused, by reason.
func refusals(l admin.Listener) string {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(l.Refused)) {
		parts = append(parts, fmt.Sprintf("%s %d", reason, l.Refused[reason]))
	}
	if l.Shed > 0 {
		parts = append(parts, fmt.Sprintf("for want of descriptors %d", l.Shed))
	}
	return strings.Join(parts, ", ")
}

func health(fit, demoted bool, why string) string {
	switch {
	case demoted:
		return "DEMOTED (" + why + ")"
	case fit:
		return "fit"
	}
	return "NOT FIT (" + why + ")"
}

// age says how long ago t was, in two digits or so.
func age(now, t time.Time) string {
	d := now.Sub(t)
	switch {
	case t.IsZero():
		return "-"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	default:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
}
