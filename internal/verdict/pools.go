package verdict

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/vrrp"
)

// fewServers is how many of a pool are named one by one.
const fewServers = 3

func (j *judge) pool(p admin.Pool) {
	var down, aside, held []string
	usable := 0
	for _, s := range p.Servers {
		name := s.Name
		switch {
		case s.Share.State == "drain" || s.Share.State == "maint":
			held = append(held, fmt.Sprintf("%s is in %s", name, s.Share.State))
		case s.Health == "down":
			down = append(down, because(name+" is down", s.Reason))
		case s.Ejected.Until.After(j.now):
			aside = append(aside, because(name+" is set aside", s.Ejected.Reason))
		case s.Breaker.State == "open" || s.Breaker.State == "half-open":
			aside = append(aside, name+": its breaker is "+s.Breaker.State)
		default:
			usable++
		}
	}
	switch {
	case len(p.Servers) == 0:
		j.say(Alarm, p.Name, "it has no server: names may have no address yet")
	case usable == 0:
		j.say(Alarm, p.Name, "no server can take new work")
	}
	j.each(Warn, p, down, "down")
	j.each(Warn, p, aside, "set aside")
	j.each(Note, p, held, "drained or in maintenance")
	switch p.Breaker.State {
	case "open", "half-open":
		j.say(Alarm, p.Name, "the breaker of the pool is %s: requests are answered with 503", p.Breaker.State)
	}
	if p.QueueLength > 0 && p.Waiting >= int64(p.QueueLength) {
		j.say(Warn, p.Name, "its queue is full: %d wait", p.Waiting)
	}
}

// each says something of each server of a pool, or of all together when they are many.
func (j *judge) each(l Level, p admin.Pool, texts []string, what string) {
	if len(texts) > fewServers {
		j.say(l, p.Name, "%d of %d servers are %s", len(texts), len(p.Servers), what)
		return
	}
	for _, text := range texts {
		j.say(l, p.Name, "%s", text)
	}
}

func because(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + why
}

// certificates judges the files of TLS.
func (j *judge) certificates() {
	c := j.s.Certificates
	for _, k := range c.List {
		switch {
		case k.NotAfter.After(j.now):
		case k.Listener != "":
			j.say(Alarm, k.Listener, "its certificate has expired: %s", k.Path)
		default:
			j.say(Warn, k.Pool, "the certificate that is shown to its servers has expired: %s", k.Path)
		}
	}
	for _, p := range c.Problems {
		j.say(Warn, "certificates", "changed files are not in use: %s", p.Error)
	}
	for _, w := range c.Warnings {
		j.say(Warn, "certificates", "%s", w)
	}
}

func (j *judge) rest() {
	j.certificates()
	for _, n := range j.s.Names {
		if n.Error != "" {
			j.say(Warn, n.Name, "cannot be looked up: %s", n.Error)
		}
	}
	for _, n := range j.s.Notes {
		j.say(Warn, "pools", "%s", n)
	}
	if j.s.Timeline != "" {
		j.say(Note, "events", "they are forgotten with the process: %s", j.s.Timeline)
	}
	for _, c := range j.s.RuntimeChanges {
		if c.Added || c.Removed || c.Weight != nil {
			j.say(Note, c.Pool, "%s was changed at runtime, and is not as the config has it", c.Server)
		}
	}
}

// holders says who is active for which VIPs.
func holders(s *admin.Status) []string {
	if len(s.VIPs) == 0 {
		return []string{"This node is a plain proxy: it has no VIP, and takes part in no election."}
	}
	names := map[string][]string{} // of VIPs, by node
	for _, v := range s.VIPs {
		who := holder(s, v)
		if who == "" {
			continue
		}
		names[who] = append(names[who], v.Name)
	}
	lines := []string{}
	for _, who := range slices.Sorted(maps.Keys(names)) {
		line := who + " is active for " + enumerate(names[who])
		if standby := other(s, who); standby != "" {
			line += "; " + standby + " stands by"
		}
		lines = append(lines, line+".")
	}
	return lines
}

// holder names who is active for a VIP: a node, or an address; "" when nobody is
// known to be.
func holder(s *admin.Status, v admin.VIP) string {
	if v.Role == vrrp.Active {
		return s.Node
	}
	for _, p := range s.Peers {
		if p.Alive && p.Roles[v.Name] == vrrp.Active {
			return p.Name
		}
	}
	for _, k := range v.Speakers {
		if k.Address == v.Active && k.Node != "" {
			return k.Node
		}
	}
	if v.Role == vrrp.Backup && v.Active.IsValid() {
		return v.Active.String()
	}
	return ""
}

// other returns the node that would take over from who; "" when none would.
func other(s *admin.Status, who string) string {
	if who != s.Node {
		if s.Fit {
			return s.Node
		}
		return ""
	}
	for _, p := range s.Peers {
		if p.Alive && p.Fit {
			return p.Name
		}
	}
	return ""
}

// enumerate lists names, but not too many.
func enumerate(names []string) string {
	const most = 4
	switch n := len(names); {
	case n == 1:
		return names[0]
	case n > most:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), n-most)
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}
