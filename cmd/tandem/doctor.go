package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tandemlb/tandem/internal/child"
	"github.com/tandemlb/tandem/internal/doctor"
	"github.com/tandemlb/tandem/internal/doctor/exam"
)

type doctorCmd struct {
	Config string        `short:"c" placeholder:"FILE" default:"${config}" help:"Config file."`
	Node   string        `placeholder:"NAME" help:"Which node of the config this is. Default: the one whose address this host has."`
	Socket string        `placeholder:"PATH" default:"${socket}" help:"Admin socket of the node, if one runs."`
	Listen time.Duration `placeholder:"TIME" default:"3500ms" help:"How long to listen for other VRRP routers; 0: not at all, and nobody is asked who has the VIPs."`
	JSON   bool          `help:"Print JSON."`
}

func (doctorCmd) Help() string {
	return `Example:

  sudo tandem doctor

Says what on this host would hurt a node, whether or not one runs, and how to mend
it. It changes nothing. It sends nothing but questions who has an address of a VIP or
of the other node, and a connection to the other node's gossip port. The exit status
is 1 when it finds an error; warnings are none.`
}

// Run prints what is found.
func (c *doctorCmd) Run(ctx context.Context, o output) error {
	facts := exam.Examine(ctx, exam.Options{
		Path: c.Config, Node: c.Node, Socket: c.Socket, State: stateDir(), WorkerUser: child.UnprivilegedName(), Listen: c.Listen,
	})
	findings := doctor.Examine(facts)
	worst := doctor.Worst(findings)
	var err error
	if c.JSON {
		err = printJSON(o, struct {
			Worst    doctor.Severity  `json:"worst"`
			Findings []doctor.Finding `json:"findings"`
			Unknown  []string         `json:"unknown"` // what could not be looked at, and why
		}{worst, findings, append([]string{}, facts.Unknown...)})
	} else {
		err = printFindings(o.out, findings, facts.Unknown)
	}
	if err == nil && worst == doctor.Error {
		return errSilent
	}
	return err
}

// printFindings prints a table: what hurts has its reason and its cure below it.
func printFindings(w io.Writer, findings []doctor.Finding, unknown []string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range findings {
		word := string(f.Severity)
		if f.Severity != doctor.OK {
			word = strings.ToUpper(word)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", word, f.Check, f.Found)
		if f.Why != "" {
			fmt.Fprintf(t, "\t\t  %s\n", f.Why)
		}
		if f.Fix != "" {
			fmt.Fprintf(t, "\t\t  fix: %s\n", f.Fix)
		}
	}
	for _, u := range unknown {
		fmt.Fprintf(t, "unknown\t%s\n", u)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	count := map[doctor.Severity]int{}
	for _, f := range findings {
		count[f.Severity]++
	}
	_, err := fmt.Fprintf(w, "\nerrors: %d, warnings: %d, in order: %d\n", count[doctor.Error], count[doctor.Warning], count[doctor.OK])
	return err
}
