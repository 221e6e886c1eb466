package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
)

// fingerprint is how many digits of one are enough to tell two certificates apart.
const fingerprint = 16

// certificates shows those that the node shows, and what is to be done about them.
func (p *statusPrinter) certificates(s admin.Certificates) {
	var rows []string
	for _, c := range s.List {
		user := "listener " + c.Listener
		if c.Listener == "" {
			user = "pool " + c.Pool
		}
		rows = append(rows, fmt.Sprintf("certificate\t%s\t%s\t%s, %s, sha256 %.*s", user, strings.Join(c.Names, " "), p.validity(c), c.Key, fingerprint, c.Fingerprint))
	}
	for _, w := range s.Warnings {
		rows = append(rows, "\tWARNING: "+w)
	}
	for _, problem := range s.Problems {
		rows = append(rows, fmt.Sprintf("\tNOT TAKEN UP for %s, the old ones are in use: %s", age(p.now, problem.Since), strings.Join(problem.Paths, " ")),
			"\t"+strings.ReplaceAll(problem.Error, "\n", "\n\t"))
	}
	p.section(rows...)
}

// validity says until when a certificate is good.
func (p *statusPrinter) validity(c admin.Certificate) string {
	const day = 24 * time.Hour
	switch left := c.NotAfter.Sub(p.now); {
	case left <= 0:
		return fmt.Sprintf("EXPIRED %s ago", age(p.now, c.NotAfter))
	case p.now.Before(c.NotBefore):
		return "NOT VALID before " + c.NotBefore.UTC().Format("2006-01-02 15:04 MST")
	case left < 2*day:
		return fmt.Sprintf("good for another %s", age(c.NotAfter, p.now))
	default:
		return fmt.Sprintf("good for another %d days", left/day)
	}
}
