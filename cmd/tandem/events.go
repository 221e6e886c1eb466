package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tandemlb/tandem/internal/admin"
)

type eventsCmd struct {
	target
	Follow bool          `short:"f" help:"Go on with what happens, until interrupted."`
	Since  time.Duration `placeholder:"DURATION" help:"Show what happened within a time, such as 1h."`
	Limit  int           `placeholder:"N" help:"Show the newest N. Default: 100, or all with --since."`
	JSON   bool          `help:"Print one event in JSON a line."`
}

func (eventsCmd) Help() string {
	return `What happened on both nodes, in one order: changes of role, health of servers,
reloads, restarts, verdicts. Each node keeps the other's too.

Example:

  tandem events --since 1h
  tandem events --follow
  tandem events --json | jq -r 'select(.kind == "role") | .at + " " + .node + " " + .what'`
}

// allEvents is more than a node keeps.
const allEvents = 10000

// Run prints what happened.
func (c *eventsCmd) Run(ctx context.Context, o output) error {
	var since time.Time
	if c.Since < 0 || c.Limit < 0 || c.Limit > allEvents {
		return fmt.Errorf("show events: --since and --limit must not be negative, and --limit at most %d", allEvents)
	}
	if c.Since > 0 {
		since = time.Now().Add(-c.Since)
	}
	limit := c.Limit
	switch {
	case limit > 0:
	case c.Since > 0:
		limit = allEvents
	default:
		limit = 100
	}
	p := &eventPrinter{w: o.out, kind: 8, subject: 8}
	tell := p.print
	if c.JSON {
		tell = func(e admin.Event) error { return json.NewEncoder(o.out).Encode(e) }
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	if c.Follow {
		return followEvents(ctx, client, follower{since: since, limit: limit, tell: tell, note: o.err})
	}
	asked, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	all, err := client.Events(asked, since, limit)
	if err != nil {
		return err
	}
	for _, e := range all {
		p.measure(e)
	}
	for _, e := range all {
		if err := tell(e); err != nil {
			return err
		}
	}
	return nil
}

// reconnectEvery is how often a node that went away is asked again.
const reconnectEvery = time.Second

// follower is what is followed, and where it goes.
type follower struct {
	since time.Time
	limit int
	tell  func(admin.Event) error
	note  io.Writer // of the connection
}

// eventID names an event.
type eventID struct {
	node      string
	boot, seq uint64
}

// followEvents tells what happens until ctx is done, also when the node is started
// anew. A node that cannot be asked at first is an error.
func followEvents(ctx context.Context, client *admin.Client, f follower) error {
	told := map[eventID]bool{}
	var oldest time.Time // of what was asked for at first
	var failed error     // of tell
	once := func(e admin.Event) error {
		id := eventID{e.Node, e.Boot, e.Seq}
		if told[id] {
			return nil
		}
		if len(told) < f.limit && (len(told) == 0 || e.At.Before(oldest)) {
			oldest = e.At
		}
		told[id] = true
		failed = f.tell(e)
		return failed
	}
	heard := false
	// After a gap all since the first is asked for: what is told already is left out.
	for since, limit := f.since, f.limit; ; limit = allEvents {
		err := client.Follow(ctx, since, limit, once)
		if len(told) > 0 {
			since = oldest
		}
		ended := errors.Is(err, admin.ErrEnded)
		heard = heard || ended
		switch {
		case ctx.Err() != nil:
			return nil
		case failed != nil || !heard:
			return err
		case ended:
			fmt.Fprintf(f.note, "tandem: %v; asking again\n", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(reconnectEvery):
		}
	}
}

// eventPrinter prints events for a person, in columns that grow with what is in them.
type eventPrinter struct {
	w                   io.Writer
	day                 string
	node, kind, subject int // widths
}

// measure makes the columns wide enough for e.
func (p *eventPrinter) measure(e admin.Event) {
	p.node, p.kind = max(p.node, utf8.RuneCountInString(e.Node)), max(p.kind, utf8.RuneCountInString(string(e.Kind)))
	p.subject = max(p.subject, utf8.RuneCountInString(e.Subject))
}

// print prints one event: when, where, what it is about, what happened, and beneath it
// the evidence.
func (p *eventPrinter) print(e admin.Event) error {
	var b strings.Builder
	at := e.At.Local()
	if day := at.Format("2006-01-02 Monday"); day != p.day {
		if p.day != "" {
			b.WriteByte('\n')
		}
		p.day = day
		b.WriteString(day + "\n")
	}
	p.measure(e)
	head := at.Format("15:04:05.000")
	if p.node > 0 { // else the config names no nodes
		head += fmt.Sprintf("  %-*s", p.node, e.Node)
	}
	head += fmt.Sprintf("  %-*s  %-*s", p.kind, e.Kind, p.subject, e.Subject)
	fmt.Fprintf(&b, "%s  %s\n", head, e.What)
	if e.Evidence != "" {
		fmt.Fprintf(&b, "%s  %s\n", strings.Repeat(" ", utf8.RuneCountInString(head)), e.Evidence)
	}
	_, err := io.WriteString(p.w, b.String())
	return err
}
