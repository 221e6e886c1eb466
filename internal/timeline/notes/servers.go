package notes

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/ipc"
)

const (
	// poolBurst is how many events about the servers of one pool are said one by one,
	// and poolEvery how often another one may be. What is beyond is summed up: a pool of
	// hundreds that comes and goes must not push all else out of the timeline.
	poolBurst = 10
	poolEvery = 10 * time.Second
	// maxNamed is how many servers a summary names.
	maxNamed = 5
)

// pool is what was said of a pool and its servers.
type pool struct {
	servers map[string]server
	breaker breaker
	spent   int           // of poolBurst
	since   time.Time     // spent has been counted down until then
	held    []admin.Event // one for each server and kind: the newest
	dropped int           // changes that those of held took the place of
}

// server is what was seen of a server.
type server struct {
	health  string // empty: not known yet
	ejected uint64
	breaker breaker
}

// breaker is what was seen of a circuit breaker.
type breaker struct {
	opens uint64
	open  bool // also half-open
}

// ofPools notes what is new of the pools. Without a state, of a worker that has just
// started, nothing is.
func (n *Notes) ofPools(now time.Time, st *ipc.WorkerState) {
	if st == nil {
		return
	}
	before := n.pools
	n.pools = make(map[string]*pool, len(st.Pools))
	for _, p := range st.Pools {
		was := before[p.Name]
		if was == nil {
			was = &pool{since: now}
		}
		n.pools[p.Name] = was
		n.pool(now, was, p)
	}
}

func (n *Notes) pool(now time.Time, was *pool, p ipc.PoolState) {
	if e, is := was.breaker.look(p.Breaker); is {
		e.At, e.Subject = now, p.Name
		n.news = append(n.news, e)
	}
	servers := make(map[string]server, len(p.Servers))
	for _, s := range p.Servers {
		name := s.Name
		if name == "" {
			name = s.Address.String()
		}
		seen := was.servers[name]
		for _, e := range seen.look(now, s) {
			e.Subject = p.Name + "/" + name
			was.hold(e)
		}
		servers[name] = seen
	}
	was.servers = servers
	n.news = append(n.news, was.release(now, p)...)
}

// look returns what is new of a server.
func (s *server) look(now time.Time, is ipc.ServerState) []admin.Event {
	var all []admin.Event
	if known := is.Health == "up" || is.Health == "down"; known && is.Health != s.health {
		// That a server is there at first is no news.
		if s.health != "" || is.Health == "down" {
			all = append(all, admin.Event{At: later(is.Since, now), Kind: admin.HealthEvent, What: is.Health, Evidence: is.Reason})
		}
		s.health = is.Health
	}
	if c := is.Ejected.Count; c != s.ejected {
		if c > 0 {
			all = append(all, admin.Event{At: now, Kind: admin.EjectionEvent, What: "set aside for " + span(now, is.Ejected.Until), Evidence: is.Ejected.Reason})
		}
		s.ejected = c // less than before: of a new worker
	}
	if e, news := s.breaker.look(is.Breaker); news {
		e.At = now
		all = append(all, e)
	}
	return all
}

// span says how long it is until a time, which is zero when it is over already.
func span(now, until time.Time) string {
	if left := until.Sub(now).Round(time.Second); left > 0 {
		return left.String()
	}
	return "a moment"
}

// later is t, unless that says nothing or is ahead of now.
func later(t, now time.Time) time.Time {
	if t.IsZero() || t.After(now) {
		return now
	}
	return t
}

// look returns what is new of a breaker. That it lets some through to try is none: it
// may do so for hours.
func (b *breaker) look(is ipc.Breaker) (admin.Event, bool) {
	was := *b
	b.open, b.opens = is.State == "open" || is.State == "half-open", is.Opens
	e := admin.Event{Kind: admin.BreakerEvent, What: "open", Evidence: fmt.Sprintf("%d of %d failed", is.Failed, is.Requests)}
	switch {
	case b.open && !was.open:
		return e, true
	case !b.open && was.open:
		return admin.Event{Kind: admin.BreakerEvent, What: "closed"}, true
	case !b.open && is.Opens > was.opens: // it was open for a moment
		e.What = "open, and closed again"
		return e, true
	}
	return e, false
}

// hold keeps an event until release. Of one server and kind the newest is kept.
func (p *pool) hold(e admin.Event) {
	i := slices.IndexFunc(p.held, func(h admin.Event) bool { return h.Kind == e.Kind && h.Subject == e.Subject })
	if i >= 0 {
		p.held = slices.Delete(p.held, i, i+1)
		p.dropped++
	}
	p.held = append(p.held, e)
}

// release returns what may be said now of what is held.
func (p *pool) release(now time.Time, st ipc.PoolState) []admin.Event {
	if now.Before(p.since) { // the clock was set back
		p.since = now
	}
	back := int(now.Sub(p.since) / poolEvery)
	p.spent = max(0, p.spent-back)
	p.since = p.since.Add(time.Duration(back) * poolEvery)
	room := poolBurst - p.spent
	held, dropped := p.held, p.dropped
	switch {
	case len(held) == 0 || room == 0:
		return nil
	case len(held) > room || dropped > 0 && room < poolBurst/2:
		p.held, p.dropped, p.spent = nil, 0, p.spent+1
		return []admin.Event{summary(now, st, held, dropped)}
	}
	p.held, p.dropped, p.spent = nil, 0, p.spent+len(held)
	return held
}

// summary is one event for many.
func summary(now time.Time, st ipc.PoolState, held []admin.Event, dropped int) admin.Event {
	down := map[string]int{}
	for _, s := range st.Servers {
		down[s.Health]++
	}
	var named []string
	for _, e := range held[:min(len(held), maxNamed)] {
		named = append(named, strings.TrimPrefix(e.Subject, st.Name+"/")+" "+e.What)
	}
	if more := len(held) - len(named); more > 0 {
		named = append(named, fmt.Sprintf("and %d more", more))
	}
	return admin.Event{
		At: now, Kind: admin.HealthEvent, Subject: st.Name,
		What:     fmt.Sprintf("%d changes of its servers: %d up, %d down", len(held)+dropped, down["up"], down["down"]),
		Evidence: strings.Join(named, ", "),
	}
}
