package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"
)

// Kind classes events.
type Kind string

// The kinds of events.
const (
	RoleEvent        Kind = "role"        // of a virtual router
	PriorityEvent    Kind = "priority"    // of a VIP was lowered, or is not any more
	FitnessEvent     Kind = "fitness"     // of the node
	VerdictEvent     Kind = "verdict"     // on a peer
	GossipEvent      Kind = "gossip"      // a peer came or went
	DriftEvent       Kind = "drift"       // a peer runs another config
	StallEvent       Kind = "stall"       // of the node
	ConflictEvent    Kind = "conflict"    // another host answers for an address of a virtual router
	RemovalEvent     Kind = "removal"     // someone else removed an address of a virtual router
	NodeEvent        Kind = "node"        // it started or stops
	AgentEvent       Kind = "agent"       // it started or ended
	WorkerEvent      Kind = "worker"      // it started or ended
	ConfigEvent      Kind = "config"      // a reload was accepted or refused
	ServerEvent      Kind = "server"      // an operator has changed a server at runtime
	HealthEvent      Kind = "health"      // of a server
	EjectionEvent    Kind = "ejection"    // of a server, for how its traffic went
	BreakerEvent     Kind = "breaker"     // of a server or a pool: it opened or closed
	CertificateEvent Kind = "certificate" // it was replaced, is refused, or runs out
)

// Event is something that happened on a node.
type Event struct {
	// Node is whose event it is; empty when the config names no nodes.
	Node string `json:"node,omitempty"`
	// Boot names the process that saw it, and Seq counts the events of that: of one
	// node, a later one is greater in (Boot, Seq).
	Boot uint64    `json:"boot"`
	Seq  uint64    `json:"seq"`
	At   time.Time `json:"at"` // by the clock of Node
	Kind Kind      `json:"kind"`
	// Subject names the virtual router, the VIP, the peer or the POOL/SERVER; empty:
	// the node itself.
	Subject  string `json:"subject,omitempty"`
	What     string `json:"what"`
	Evidence string `json:"evidence,omitempty"`
}

// Timeline is what happened on the nodes.
type Timeline interface {
	// Events returns the newest events since a time, at most limit, in one order.
	Events(since time.Time, limit int) []Event
	// Follow is Events, and delivers what comes in from then on until ctx ends, or
	// until the reader is too slow.
	Follow(ctx context.Context, since time.Time, limit int) ([]Event, <-chan Event)
}

// Historian is a Node that can be asked what happened.
type Historian interface{ Timeline() Timeline }

// Events is the answer to what happened.
type Events struct {
	Events []Event `json:"events"`
}

const (
	defaultEvents = 1000
	maxEvents     = 10000
	// maxFollowers bounds the streams of events that are open.
	maxFollowers = 64
	// aliveEvery is how often a stream says with an empty line that it lives: who has
	// gone is noticed then.
	aliveEvery = 15 * time.Second
	// followerPatience is how long a write to a follower may take.
	followerPatience = 10 * time.Second
)

// events answers GET /v1/events.
type events struct {
	Timeline
	followers atomic.Int64
}

// query is what of the timeline is asked for.
type query struct {
	since  time.Time
	limit  int
	follow bool
}

// parseQuery reads since (a duration, or a time of RFC 3339), limit and follow.
func parseQuery(v url.Values, now time.Time) (query, error) {
	q := query{limit: defaultEvents}
	for key := range v {
		text := v.Get(key)
		switch key {
		case "since":
			if d, err := time.ParseDuration(text); err == nil && d >= 0 {
				q.since = now.Add(-d)
			} else if t, err := time.Parse(time.RFC3339, text); err == nil {
				q.since = t
			} else {
				return q, fmt.Errorf("since=%q is neither a duration such as 1h nor a time such as 2026-01-02T15:04:05Z", text)
			}
		case "limit":
			n, err := strconv.Atoi(text)
			if err != nil || n < 0 || n > maxEvents {
				return q, fmt.Errorf("limit=%q is not a number from 0 to %d", text, maxEvents)
			}
			q.limit = n
		case "follow":
			follow, err := strconv.ParseBool(text)
			if err != nil {
				return q, fmt.Errorf("follow=%q is neither 1 nor 0", text)
			}
			q.follow = follow
		default:
			return q, fmt.Errorf("unknown parameter %q, expected since, limit or follow", key)
		}
	}
	return q, nil
}

// ServeHTTP tells what happened: as one answer or, with follow, as a stream of one event
// in JSON a line.
func (h *events) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q, err := parseQuery(r.URL.Query(), time.Now())
	if err != nil {
		Answer(w, http.StatusBadRequest, Failure{"ask for events: " + err.Error()})
		return
	}
	if !q.follow {
		Answer(w, http.StatusOK, Events{h.Events(q.since, q.limit)})
		return
	}
	if h.followers.Add(1) > maxFollowers {
		h.followers.Add(-1)
		Answer(w, http.StatusServiceUnavailable, Failure{fmt.Sprintf("follow events: %d others do", maxFollowers)})
		return
	}
	defer h.followers.Add(-1)
	ctx, stop := context.WithCancel(r.Context())
	defer stop()
	past, nextC := h.Follow(ctx, q.since, q.limit)
	w.Header().Set("Content-Type", "application/x-ndjson")
	s := stream{w, http.NewResponseController(w)}
	if s.send(past...) != nil {
		return
	}
	alive := time.NewTicker(aliveEvery)
	defer alive.Stop()
	for {
		var err error
		select {
		case e, open := <-nextC:
			if !open {
				return
			}
			err = s.send(e)
		case <-alive.C:
			err = s.send()
		}
		if err != nil {
			return
		}
	}
}

// stream writes events to a client.
type stream struct {
	w io.Writer
	c *http.ResponseController
}

// send writes events, or an empty line, and does not leave them in a buffer.
func (s stream) send(all ...Event) error {
	var b bytes.Buffer
	for _, e := range all {
		if err := json.NewEncoder(&b).Encode(e); err != nil {
			return err
		}
	}
	if len(all) == 0 {
		b.WriteByte('\n')
	}
	if err := s.c.SetWriteDeadline(time.Now().Add(followerPatience)); err != nil {
		return err
	}
	if _, err := s.w.Write(b.Bytes()); err != nil {
		return err
	}
	return s.c.Flush()
}
