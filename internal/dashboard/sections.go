package dashboard

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/vrrp"
)

const (
	// newFor is for how long a state that has changed is shown as new.
	newFor = 5 * time.Second
	// maxEvents is how many events are shown where there is room.
	maxEvents = 20
)

// sight is the newest answer of the node beside the one before.
type sight struct {
	now    time.Time // by the node's clock
	status *admin.Status
	past   []admin.Event
	before *admin.Status // nil: none that can be compared
	apart  time.Duration // between the two
}

// sight compares what there is. What has counted anew since cannot be compared.
func (v View) sight() sight {
	s := sight{now: v.Newest.At, status: &v.Newest.Status, past: v.Newest.History}
	if b := v.Before; b != nil && b.Status.Worker.PID == s.status.Worker.PID && v.Newest.At.After(b.At) {
		s.before, s.apart = &b.Status, v.Newest.At.Sub(b.At)
	}
	return s
}

// fresh reports whether something has changed just now.
func (s sight) fresh(since time.Time) bool {
	return !since.IsZero() && s.now.Sub(since) < newFor && since.Sub(s.status.Started) > newFor
}

// rate says how much a counter grows each second.
func (s sight) rate(now, before uint64, known bool, unit string) cell {
	if s.before == nil || !known || now < before {
		return cell{text: "-" + unit}
	}
	perSecond := float64(now-before) / s.apart.Seconds()
	if perSecond > 0 && perSecond < 10 {
		return cell{text: fmt.Sprintf("%.1f%s", perSecond, unit)}
	}
	return cell{text: fmt.Sprintf("%.0f%s", perSecond, unit)}
}

// trouble is rate for what ought not to be.
func (s sight) trouble(now, before uint64, known bool, unit string) cell {
	c := s.rate(now, before, known, unit)
	if now > before && known && s.before != nil {
		c.mood = alarm
	}
	return c
}

// find returns the element of all that is like what.
func find[T any](all []T, like func(T) bool) (found T, ok bool) {
	if i := slices.IndexFunc(all, like); i >= 0 {
		return all[i], true
	}
	return found, false
}

func (s sight) vips() section {
	out := section{least: len(s.status.VIPs)}
	for _, v := range s.status.VIPs {
		role := cell{text: strings.ToUpper(v.Role.String()), fresh: s.fresh(v.Since)}
		if v.Role == vrrp.Active {
			role.mood = good
		}
		var addresses []string
		for _, a := range v.Addresses {
			addresses = append(addresses, a.String())
		}
		why := cell{text: v.Reason}
		switch {
		case v.Error != "":
			why = cell{text: "ERROR: " + v.Error, mood: alarm}
		case v.Conflict != nil && s.now.Sub(v.Conflict.At) < time.Minute:
			why = cell{text: fmt.Sprintf("ALARM: %s answers for %s", v.Conflict.MAC, v.Conflict.Address), mood: alarm}
		case v.Flapping > 0:
			why = cell{text: fmt.Sprintf("ALARM: flapping, %d changes of late", v.Flapping), mood: alarm}
		case v.Lowered != nil:
			why = cell{text: fmt.Sprintf("lowered from %d: %s", v.Base, v.Lowered.Reason), mood: warning}
		case v.Role == vrrp.Backup && v.Active.IsValid():
			why = cell{text: fmt.Sprintf("%s is active, with priority %d", v.Active, v.ActivePrio)}
		}
		out.rows = append(out.rows, row{
			{text: "vip " + v.Name}, role, {text: "for " + age(s.now, v.Since)}, {text: strings.Join(addresses, " ")},
			{text: fmt.Sprintf("priority %d", v.Priority)}, why,
		})
	}
	return out
}

func (s sight) peers() section {
	out := section{least: len(s.status.Peers)}
	for _, v := range s.status.Peers {
		if v.Hash == "" {
			out.rows = append(out.rows, row{{text: "peer " + v.Name}, {text: "not heard yet", mood: warning}, {text: v.Error}})
			continue
		}
		life := cell{text: "alive", mood: good, fresh: s.fresh(v.Since)}
		if !v.Alive {
			life = cell{text: "SILENT", mood: alarm, fresh: life.fresh}
		}
		was := "" // what a silent one said last may not be so any more
		if !v.Alive {
			was = "was "
		}
		var roles []string
		for _, vip := range slices.Sorted(maps.Keys(v.Roles)) {
			roles = append(roles, vip+" "+was+v.Roles[vip].String())
		}
		what := cell{text: "same config"}
		switch {
		case v.Verdict != "":
			what = cell{text: strings.ToUpper(v.Verdict) + ": " + v.Explained, mood: alarm}
		case v.Unfit != "":
			what = cell{text: v.Unfit, mood: warning}
		case v.Drift:
			what = cell{text: "CONFIG DRIFT: it runs " + v.Hash, mood: warning}
		}
		out.rows = append(out.rows, row{
			{text: "peer " + v.Name}, life, {text: "for " + age(s.now, v.Since)}, peerFitness(v), {text: strings.Join(roles, ", ")}, what,
		})
	}
	return out
}

// peerFitness is what a peer says of itself; a silent one says nothing.
func peerFitness(v admin.Peer) cell {
	if !v.Alive {
		return cell{text: "-"}
	}
	return fitness(v.Fit, v.Demoted)
}

func (s sight) listeners() section {
	out := section{least: 1}
	for _, v := range s.status.Listeners {
		var old admin.Listener
		known := false
		if s.before != nil {
			old, known = find(s.before.Listeners, func(o admin.Listener) bool { return o.Name == v.Name && o.Protocol == v.Protocol })
		}
		work := s.rate(v.Accepted, old.Accepted, known, " connections/s")
		switch v.Protocol {
		case "http":
			work = s.rate(v.Requests, old.Requests, known, " requests/s")
		case "udp":
			work = s.rate(v.In.Count, old.In.Count, known, " datagrams/s")
		}
		out.rows = append(out.rows, row{
			{text: "listener " + v.Name}, {text: v.Protocol}, {text: strings.Join(v.Bind, " ")}, {text: fmt.Sprintf("%d open", v.Connections)}, work,
			s.trouble(v.Failed, old.Failed, known, " failed/s"),
			s.trouble(refused(v), refused(old), known, " refused/s"),
		})
	}
	return out
}

func refused(l admin.Listener) (n uint64) {
	n = l.Shed
	for _, k := range l.Refused {
		n += k
	}
	return n
}

func (s sight) pools() section {
	out := section{least: 1}
	for _, v := range s.status.Pools {
		var old admin.Pool
		known := false
		if s.before != nil {
			old, known = find(s.before.Pools, func(o admin.Pool) bool { return o.Name == v.Name })
		}
		up := 0
		for _, server := range v.Servers {
			held := server.Share.State == "drain" || server.Share.State == "maint"
			if server.Health != "down" && !held && !server.Ejected.Until.After(s.now) {
				up++
			}
		}
		servers := cell{text: fmt.Sprintf("%d of %d servers", up, len(v.Servers))}
		switch {
		case up == 0:
			servers.mood = alarm
		case up < len(v.Servers):
			servers.mood = warning
		}
		r := row{
			{text: "pool " + v.Name}, servers, {text: fmt.Sprintf("%d in progress", v.Active)}, {text: fmt.Sprintf("%d waiting", v.Waiting)},
			s.rate(v.Retries, old.Retries, known, " retries/s"),
		}
		if v.Breaker.State != "" && v.Breaker.State != "closed" {
			r = append(r, cell{text: "BREAKER " + strings.ToUpper(v.Breaker.State), mood: alarm})
		}
		out.rows = append(out.rows, r)
	}
	return out
}

// servers come in the order in which one wants to see them: those that are not well, then
// the busiest.
func (s sight) servers() section {
	type shown struct {
		row  row
		well int
		work uint64
	}
	var all []shown
	for _, p := range s.status.Pools {
		var oldPool admin.Pool
		if s.before != nil {
			oldPool, _ = find(s.before.Pools, func(o admin.Pool) bool { return o.Name == p.Name })
		}
		for _, v := range p.Servers {
			old, known := find(oldPool.Servers, func(o admin.Server) bool { return o.Name == v.Name && o.Address == v.Address })
			health := cell{text: strings.ToUpper(v.Health), fresh: s.fresh(v.Since)}
			note, well := s.note(v), 1
			switch {
			case v.Health == "down":
				health.mood, well = alarm, 0
			case note.mood != plain:
				well = 0
				fallthrough
			case v.Health == "up":
				health.mood = good
			}
			all = append(all, shown{well: well, work: v.Served - min(old.Served, v.Served), row: row{
				{text: "server " + p.Name + "/" + v.Name}, health, {text: "for " + age(s.now, v.Since)}, {text: fmt.Sprintf("%d active", v.Active)},
				s.rate(v.Served, old.Served, known, " served/s"), s.trouble(v.Failed, old.Failed, known, " failed/s"), note,
			}})
		}
	}
	slices.SortStableFunc(all, func(a, b shown) int { return cmp.Or(cmp.Compare(a.well, b.well), cmp.Compare(b.work, a.work)) })
	out := section{least: 2}
	for _, a := range all {
		out.rows = append(out.rows, a.row)
	}
	return out
}

// note says what keeps work from a server.
func (s sight) note(v admin.Server) cell {
	switch {
	case v.Health == "down":
		return cell{text: v.Reason, mood: alarm}
	case v.Share.State == "drain":
		return cell{text: "DRAINED", mood: warning}
	case v.Share.State == "maint":
		return cell{text: "IN MAINTENANCE", mood: warning}
	case v.Ejected.Until.After(s.now):
		return cell{text: fmt.Sprintf("EJECTED for another %ds: %s", v.Ejected.Until.Sub(s.now)/time.Second, v.Ejected.Reason), mood: warning}
	case v.Breaker.State != "" && v.Breaker.State != "closed":
		return cell{text: "BREAKER " + strings.ToUpper(v.Breaker.State), mood: warning}
	case v.Share.Backup:
		return cell{text: "backup"}
	}
	return cell{}
}

// events come newest first.
func (s sight) events() section {
	out := section{heading: row{{text: "last events", mood: title}}, least: 3}
	for _, e := range slices.Backward(s.past[max(0, len(s.past)-maxEvents):]) {
		what := e.What
		if e.Evidence != "" {
			what += " (" + e.Evidence + ")"
		}
		subject := string(e.Kind)
		if e.Subject != "" {
			subject += " " + e.Subject
		}
		fresh := s.now.Sub(e.At) < newFor
		out.rows = append(out.rows, row{{text: age(s.now, e.At) + " ago", fresh: fresh}, {text: e.Node}, {text: subject}, {text: what}})
	}
	return out
}
