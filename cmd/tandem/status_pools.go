package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
)

// pools shows what of the pools is worth a look, beside their servers.
func (p *statusPrinter) pools(all []admin.Pool) {
	var rows []string
	for _, pool := range all {
		if text := p.pool(pool); text != "" {
			rows = append(rows, fmt.Sprintf("pool\t%s\t%s", pool.Name, text))
		}
	}
	p.section(rows...)
}

// pool describes a pool; "" when there is nothing to say.
func (p *statusPrinter) pool(v admin.Pool) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if v.Breaker.State != "" && v.Breaker.State != "closed" {
		add("BREAKER %s", strings.ToUpper(v.Breaker.State))
	}
	if v.Most > 0 {
		add("%d of %d in progress", v.Active, v.Most)
	}
	if v.QueueLength > 0 {
		add("%d of %d waiting (%d waited, %d gave up, %d found it full)", v.Waiting, v.QueueLength, v.Queued, v.QueueLeft, v.QueueRefused)
	}
	if v.Retries+v.RetriesRefused > 0 {
		add("%d retries, %d beyond the budget", v.Retries, v.RetriesRefused)
	}
	if v.Breaker.Opens > 0 {
		add("breaker opened %d times", v.Breaker.Opens)
	}
	return strings.Join(parts, ", ")
}

// servers shows every server, and what keeps work from it.
func (p *statusPrinter) servers(pools []admin.Pool) {
	var rows []string
	for _, pool := range pools {
		for _, v := range pool.Servers {
			rows = append(rows, fmt.Sprintf("server\t%s/%s\t%s for %s\t%s, %d served, %d failed\t%s",
				pool.Name, v.Name, strings.ToUpper(v.Health), age(p.now, v.Since), activeText(v), v.Served, v.Failed, v.Reason))
			if text := p.obstacles(v); text != "" {
				rows = append(rows, "\t\t"+text)
			}
		}
	}
	p.section(rows...)
}

func activeText(v admin.Server) string {
	if v.Share.Most > 0 {
		return fmt.Sprintf("%d of %d active", v.Active, v.Share.Most)
	}
	return fmt.Sprintf("%d active", v.Active)
}

// obstacles says why a server gets less work than its health allows; "" when it does
// not.
func (p *statusPrinter) obstacles(v admin.Server) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch v.Share.State {
	case "drain":
		add("DRAINED: no new work but from sticky clients")
	case "maint":
		add("IN MAINTENANCE: no work and no checks")
	}
	if v.Ejected.Until.After(p.now) {
		add("EJECTED for another %s: %s", v.Ejected.Until.Sub(p.now).Round(100*time.Millisecond), v.Ejected.Reason)
	}
	if b := v.Breaker; b.State != "" && b.State != "closed" {
		add("BREAKER %s: %d of %d failed", strings.ToUpper(b.State), b.Failed, b.Requests)
	}
	if v.Share.Backup {
		add("backup")
	}
	if v.Share.State != "" && v.Share.Weight != 1 {
		add("weight %.3g", v.Share.Weight)
	}
	return strings.Join(parts, ", ")
}

// discovered shows the names that DNS is asked for, and what of the pools is not as the
// config has it.
func (p *statusPrinter) discovered(s *admin.Status) {
	var rows []string
	for _, n := range s.Names {
		text := strings.Join(n.Addresses, " ")
		if text == "" {
			text = "no address"
		}
		if !n.At.IsZero() {
			text += fmt.Sprintf(", as of %s ago", age(p.now, n.At))
		}
		if n.Error != "" {
			text += ", NOW " + n.Error
		}
		rows = append(rows, fmt.Sprintf("name\t%s\t%s", n.Name, text))
	}
	for _, n := range s.Notes {
		rows = append(rows, "note\t"+n)
	}
	if n := len(s.RuntimeChanges); n > 0 {
		rows = append(rows, fmt.Sprintf("note\t%d runtime changes differ from the config: see tandem server --diff", n))
	}
	if s.Overload.Reason != "" {
		rows = append(rows, fmt.Sprintf("OVERLOAD\tfor %s, new work is turned away: %s", age(p.now, s.Overload.Since), s.Overload.Reason))
	}
	p.section(rows...)
}
