package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/vrrp"
)

type explainCmd struct {
	target
	JSON bool `help:"Print JSON."`
}

func (explainCmd) Help() string {
	return `Why this node is, or is not, active: the arithmetic of its priority, what is
known of its peer and how, and the last changes.

Example:

  tandem explain
  tandem explain --json | jq '.history[-1]'`
}

// Run prints why the node owns its VIPs or does not.
func (c *explainCmd) Run(ctx context.Context, o output) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	node, err := c.client()
	if err != nil {
		return err
	}
	e, err := node.Explain(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(o, e)
	}
	return printExplanation(o.out, e)
}

// printExplanation prints e for a person: the answer first, then the evidence.
func printExplanation(w io.Writer, e *admin.Explanation) error {
	p := explainer{statusPrinter{w: w, now: e.At}}
	if len(e.Status.VIPs) == 0 {
		p.section("This node has no VIP: it is a plain proxy, and takes part in no election.")
	}
	for _, v := range e.Status.VIPs {
		p.vip(&e.Status, v)
	}
	p.node(&e.Status)
	for _, v := range e.Status.Peers {
		p.peer(&e.Status, v)
	}
	p.history(e.Status.Node, e.History)
	return p.err
}

// explainer prints an explanation in sections.
type explainer struct{ statusPrinter }

func (p *explainer) vip(s *admin.Status, v admin.VIP) {
	rows := []string{
		fmt.Sprintf("vip %s\t%s for %s: %s", v.Name, strings.ToUpper(v.Role.String()), age(p.now, v.Since), v.Reason),
		"  priority\t" + arithmetic(s, v),
	}
	row := func(name, format string, args ...any) {
		rows = append(rows, "  "+name+"\t"+fmt.Sprintf(format, args...))
	}
	if v.Error != "" {
		row("ERROR", "%s", v.Error)
	}
	if v.Role == vrrp.Backup {
		row("preempt", "%s", p.preemption(v))
	}
	if v.Due {
		row("group", "would be active, and waits for the others of group %s", v.Group)
	}
	if others := companions(s.VIPs, v); others != "" {
		row("group", "%s: moves with %s", v.Group, others)
	}
	p.speakers(v, row)
	for _, what := range v.Tracked {
		row("tracks", "%s: %s", what, p.missed(v.Lost, what))
	}
	p.alarms(v, row)
	p.section(rows...)
}

// arithmetic says how the priority comes about, and what it is measured against.
func arithmetic(s *admin.Status, v admin.VIP) string {
	text := fmt.Sprintf("base %d", v.Base)
	switch {
	case s.Demoted:
		text += fmt.Sprintf(", demoted to %d: %s", v.Priority, s.Unfit)
	case v.Lowered != nil:
		text += fmt.Sprintf(", -%d %s = %d", v.Lowered.By, v.Lowered.Reason, v.Priority)
	case v.Priority != v.Base:
		text += fmt.Sprintf(", now %d", v.Priority)
	}
	for _, peer := range s.Peers {
		if priority := peer.Priorities[v.Name]; peer.Alive && priority > 0 {
			text += fmt.Sprintf("; %s has %d", peer.Name, priority)
		}
	}
	return text
}

// preemption says whether, and when, a Backup takes over from one that serves.
func (p *explainer) preemption(v admin.VIP) string {
	wait := v.PreemptDelay - p.now.Sub(v.Since)
	switch {
	case !v.Preempt:
		return "no: it leaves the active node alone as long as that serves"
	case v.ActivePrio >= v.Priority:
		return fmt.Sprintf("yes, but the active node's priority %d is not below %d", v.ActivePrio, v.Priority)
	case wait > 0:
		return fmt.Sprintf("in %s, when it has been fit for %s", wait.Round(100*time.Millisecond), v.PreemptDelay)
	}
	return "yes: it takes over from a lower priority"
}

// companions lists the other routers of a group.
func companions(all []admin.VIP, v admin.VIP) string {
	var names []string
	for _, other := range all {
		if other.Group == v.Group && other.Name != v.Name {
			names = append(names, other.Name)
		}
	}
	return strings.Join(names, ", ")
}

func (p *explainer) speakers(v admin.VIP, row func(name, format string, args ...any)) {
	if len(v.Speakers) == 0 {
		row("vrrp", "no advertisement of another router was accepted")
	}
	for _, k := range v.Speakers {
		who := k.Address.String()
		if k.Node != "" {
			who = k.Node + " (" + who + ")"
		}
		row("vrrp", "%s heard %s ago: priority %d, every %v, version %d, checksum with %v", who, age(p.now, k.Heard), k.Priority, k.Interval, k.Version, k.Checksum)
	}
	if v.Role == vrrp.Backup {
		row("", "takes over after %v of silence", v.DownInterval.Round(time.Millisecond))
	}
}

func (p *explainer) missed(lost []admin.Lost, what string) string {
	for _, l := range lost {
		switch {
		case l.What == what && l.Since.IsZero():
			return "MISSED, and never seen"
		case l.What == what:
			return "MISSED for " + age(p.now, l.Since)
		}
	}
	return "there"
}

// alarms are what an operator should look into.
func (p *explainer) alarms(v admin.VIP, row func(name, format string, args ...any)) {
	for _, k := range v.Speakers {
		if v.AddressMismatch && k.AddressesDiffer {
			row("ALARM", "%s advertises other addresses: the configs have drifted apart", k.Address)
		}
	}
	if k := v.Conflict; k != nil {
		row("ALARM", "%s answers for %s, seen %s ago, %d times: another host has the address", k.MAC, k.Address, age(p.now, k.At), k.Count)
	}
	if v.Flapping > 0 {
		row("ALARM", "flapping: it became active, or ceased to be, %d times of late; a longer `advertise` forgives a busy host more", v.Flapping)
	}
	if v.Removals > 0 {
		row("ALARM", "someone else removed an address %d times (a network manager?)", v.Removals)
	}
	if odd := drops(v.Counters); odd != "" {
		row("odd packets", "%s", odd)
	}
}

func (p *explainer) node(s *admin.Status) {
	name := s.Node
	if name == "" {
		name = "this node"
	}
	rows := []string{fmt.Sprintf("node %s\t%s", name, health(s.Fit, s.Demoted, s.Unfit))}
	if s.Servers > 0 {
		rows = append(rows, fmt.Sprintf("  servers\treaches %d of %d", s.Reachable, s.Servers))
	}
	if a := s.Agent; a != nil {
		rows = append(rows, fmt.Sprintf("  heartbeat\tlate by %v at most in the last second, real time: %s", a.Lateness.Round(10*time.Microsecond), a.Realtime))
		if a.Slept != nil {
			rows = append(rows, "  slept\t"+p.sleep(*a.Slept))
		}
	}
	if s.Sandbox != nil {
		rows = append(rows, "  worker\t"+s.Sandbox.String())
	}
	p.section(rows...)
}

func (p *explainer) sleep(s admin.Sleep) string {
	return fmt.Sprintf("for %v, %s ago (%d times since its agent started)", s.For.Round(time.Millisecond), age(p.now, s.At), s.Count)
}

func (p *explainer) peer(s *admin.Status, v admin.Peer) {
	life := "alive"
	if !v.Alive {
		life = "SILENT"
	}
	rows := []string{fmt.Sprintf("peer %s\t%s", v.Name, health(v.Fit, v.Demoted, v.Unfit))}
	if v.Hash == "" {
		rows[0] = fmt.Sprintf("peer %s\tnot heard yet", v.Name)
	}
	if v.Verdict != "" {
		rows = append(rows, fmt.Sprintf("  verdict\t%s for %s: %s", strings.ToUpper(v.Verdict), age(p.now, v.VerdictSince), v.Explained))
	}
	rows = append(rows, fmt.Sprintf("  gossip\t%s for %s", life, age(p.now, v.Since)))
	if s.Agent != nil && s.Agent.Notice != "" {
		rows = append(rows, "  death notice\t"+s.Agent.Notice)
	}
	if v.Servers > 0 {
		rows = append(rows, fmt.Sprintf("  servers\treaches %d of %d", v.Reachable, v.Servers))
	}
	for _, group := range slices.Sorted(maps.Keys(v.Lost)) {
		for _, l := range v.Lost[group] {
			rows = append(rows, fmt.Sprintf("  misses\t%s (group %s)", l.What, group))
		}
	}
	if v.Slept != nil {
		rows = append(rows, "  slept\t"+p.sleep(*v.Slept))
	}
	if v.Drift {
		rows = append(rows, fmt.Sprintf("  ALARM\tCONFIG DRIFT: it runs %s, this node %s", v.Hash, s.Config.Hash))
	}
	p.section(rows...)
}

// maxHistory is how many events are shown; --json has all that are kept.
const maxHistory = 15

func (p *explainer) history(node string, all []admin.Event) {
	if len(all) == 0 {
		return
	}
	rows := []string{"last changes"}
	for _, e := range all[max(0, len(all)-maxHistory):] {
		what := e.What
		if e.Evidence != "" {
			what += " (" + e.Evidence + ")"
		}
		subject := string(e.Kind)
		if e.Node != node {
			subject = e.Node + ": " + subject
		}
		if e.Subject != "" {
			subject += " " + e.Subject
		}
		rows = append(rows, fmt.Sprintf("  %s ago\t%s\t%s", age(p.now, e.At), subject, what))
	}
	p.section(rows...)
}
