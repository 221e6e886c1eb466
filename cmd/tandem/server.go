package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/roster"
)

type serverCmd struct {
	Target string `arg:"" optional:"" placeholder:"POOL/SERVER" help:"Server, by its name or address. Without one, the servers are listed."`
	Change string `arg:"" optional:"" placeholder:"CHANGE" help:"ready, drain, maint, weight=N, add or remove."`
	Diff   bool   `help:"List what differs from the config file."`
	target
	JSON bool `help:"Print JSON."`
}

func (serverCmd) Help() string {
	return `Examples:

  tandem server                                  list the servers
  tandem server web/192.0.2.21:8080 drain        no new work, but from sticky clients
  tandem server web/192.0.2.21:8080 maint        no work at all, and no checks
  tandem server web/192.0.2.21:8080 ready        as the config has it
  tandem server web/big weight=50
  tandem server web/192.0.2.29:8080 add
  tandem server --diff                           what differs from the file

A change is made on this node alone: repeat it on the other one. It outlives a
reload, until the file says the same or the pool is gone; not a restart. What a
server has in progress when it is drained or removed may go on for as long as
the pool's drain says.`
}

// Run lists the servers, or changes one.
func (c *serverCmd) Run(ctx context.Context, o output) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	node, err := c.client()
	if err != nil {
		return err
	}
	switch {
	case c.Target == "":
		return c.list(ctx, node, o)
	case c.Diff:
		return errors.New("--diff lists: it goes without a server")
	case c.Change == "":
		return fmt.Errorf("what is to become of %q? (ready, drain, maint, weight=N, add or remove)", c.Target)
	}
	wish, err := roster.ParseChange(c.Target, c.Change)
	if err != nil {
		return err
	}
	change := admin.ServerChange{Pool: wish.Pool, Server: wish.Server, Verb: string(wish.Verb), Weight: wish.Weight}
	err = node.Change(ctx, change)
	if c.JSON {
		r := struct {
			admin.ServerChange
			Changed bool   `json:"changed"`
			Error   string `json:"error,omitempty"`
		}{ServerChange: change, Changed: err == nil}
		if err != nil {
			r.Error = err.Error()
		}
		if err := printJSON(o, r); err != nil {
			return err
		}
		if !r.Changed {
			return errSilent
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("change a server: %w", err)
	}
	_, err = fmt.Fprintf(o.out, "%s/%s: %s (on this node alone)\n", wish.Pool, wish.Server, change.Text())
	return err
}

func (c *serverCmd) list(ctx context.Context, node *admin.Client, o output) error {
	s, err := node.Status(ctx)
	if err != nil {
		return err
	}
	p := statusPrinter{w: o.out, now: time.Now()}
	switch {
	case c.Diff && c.JSON:
		return printJSON(o, append([]admin.RuntimeChange{}, s.RuntimeChanges...))
	case c.JSON:
		return printJSON(o, s.Pools)
	case c.Diff && len(s.RuntimeChanges) == 0:
		_, err := fmt.Fprintln(o.out, "nothing differs from the config file")
		return err
	case c.Diff:
		p.changes(s.RuntimeChanges)
	default:
		p.servers(s.Pools)
	}
	return p.err
}

// changes lists what differs from the config file.
func (p *statusPrinter) changes(all []admin.RuntimeChange) {
	var rows []string
	for _, c := range all {
		rows = append(rows, fmt.Sprintf("%s/%s\t%s", c.Pool, c.Server, changeText(c)))
	}
	p.section(rows...)
}

func changeText(c admin.RuntimeChange) string {
	var parts []string
	if c.Added {
		parts = append(parts, "added")
	}
	if c.Removed {
		parts = append(parts, "removed")
	}
	if c.State != "" {
		parts = append(parts, c.State)
	}
	if c.Weight != nil {
		parts = append(parts, fmt.Sprintf("weight=%d", *c.Weight))
	}
	return strings.Join(parts, ", ")
}
