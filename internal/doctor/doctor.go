// Package doctor judges a host: what on it would hurt a node, why, and what to do about
// it. It is given facts, and has none of its own; package doctor/exam collects them.
package doctor

import (
	"cmp"
	"slices"
)

// Severity says how much a finding hurts.
type Severity string

// In the order of their weight.
const (
	OK      Severity = "ok"
	Warning Severity = "warning" // something would go wrong, some day
	Error   Severity = "error"   // a node does not run as it is meant to
)

// Finding is what was found of one thing.
type Finding struct {
	Check    string   `json:"check"` // what was looked at: "capabilities"
	Severity Severity `json:"severity"`
	Found    string   `json:"found"`         // what there is
	Why      string   `json:"why,omitempty"` // why it hurts; empty: it does not
	Fix      string   `json:"fix,omitempty"` // the command, or what to change
}

// Examine judges f. The findings are in the order of the checks; those that hurt tell
// why, and how to mend it. A check finds at least one thing, unless it does not apply.
func Examine(f *Facts) []Finding {
	e := &examination{Facts: f}
	for _, check := range []func(){
		e.config, e.node, e.machine, // what there is
		e.capabilities, e.sandbox, e.limits, e.group, e.scheduler, // what it may
		e.sysctls, e.conntrack, e.ports, // what the kernel does
		e.interfaces, e.addresses, e.duplicates, e.routers, e.peers, e.managers, e.firewall, // the network
		e.clock, e.files,
	} {
		check()
	}
	return e.findings
}

// Worst returns the greatest severity of all.
func Worst(all []Finding) Severity {
	weight := []Severity{OK, Warning, Error}
	worst := OK
	for _, f := range all {
		worst = slices.MaxFunc([]Severity{worst, f.Severity}, func(a, b Severity) int {
			return cmp.Compare(slices.Index(weight, a), slices.Index(weight, b))
		})
	}
	return worst
}

// examination collects findings.
type examination struct {
	*Facts
	findings []Finding
}

func (e *examination) ok(check, found string) {
	e.findings = append(e.findings, Finding{Check: check, Severity: OK, Found: found})
}

func (e *examination) warn(check, found, why, fix string) {
	e.findings = append(e.findings, Finding{check, Warning, found, why, fix})
}

func (e *examination) fail(check, found, why, fix string) {
	e.findings = append(e.findings, Finding{check, Error, found, why, fix})
}

// found reports whether something was found of check.
func (e *examination) found(check string) bool {
	return slices.ContainsFunc(e.findings, func(f Finding) bool { return f.Check == check })
}
