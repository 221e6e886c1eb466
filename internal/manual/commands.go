// Package manual writes the manual pages and the completions of shells out of the
// model of a command line, so that they have every command and flag of it.
package manual

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// Commands returns the manual page of app in section 1, for its version.
func Commands(app *kong.Application, version string) []byte {
	var p page
	p.title(app.Name, 1, version)
	p.macro("SH", "NAME")
	p.line(escape(app.Name) + ` \- ` + escape(strings.TrimSuffix(app.Help, ".")))
	p.macro("SH", "SYNOPSIS")
	p.line(`\fB` + escape(app.Name) + `\fR \fICOMMAND\fR [\fIFLAG\fR...]`)
	p.macro("SH", "COMMANDS")
	for _, c := range shown(app.Children) {
		p.command(app.Name, c)
	}
	p.macro("SH", "FILES")
	p.term("/etc/tandem/tandem.yaml", "The config, the same on both nodes: tandem.yaml(5).")
	p.term("/run/tandem/admin.sock", "Where a node answers these commands.")
	p.term("/var/lib/tandem", "The timeline of events.")
	p.macro("SH", "EXIT STATUS")
	p.term("0", "What was asked for is done.")
	p.term("1", "It failed; standard error says why.")
	p.term("78", "Of run: the config file is wrong. A service manager need not try again.")
	p.macro("SH", "SEE ALSO")
	p.line("tandem.yaml(5), systemd.service(5)")
	return p.Bytes()
}

func (p *page) command(program string, c *kong.Node) {
	p.macro("SS", c.Name)
	p.line(`\fB` + escape(program+" "+c.Name) + `\fR` + synopsis(c))
	p.macro("PP")
	p.text(c.Help)
	p.detail(c.Detail)
	for _, a := range c.Positional {
		p.term(argument(a), a.Help)
	}
	for _, f := range flags(c) {
		p.term(spelled(f), f.Help+fromEnvironment(f))
	}
}

// detail writes the long help of a command: paragraphs, and what is indented as it is.
func (p *page) detail(text string) {
	for _, block := range strings.Split(text, "\n\n") {
		if strings.TrimSpace(block) == "" {
			continue
		}
		p.macro("PP")
		if strings.HasPrefix(block, " ") {
			p.example(strings.Split(block, "\n"))
			continue
		}
		p.text(block)
	}
}

// synopsis names the arguments of a command.
func synopsis(c *kong.Node) string {
	var s string
	for _, a := range c.Positional {
		s += ` [\fI` + escape(argument(a)) + `\fR]`
	}
	if len(flags(c)) > 0 {
		s += ` [\fIFLAG\fR...]`
	}
	return s
}

func argument(a *kong.Positional) string {
	if a.Tag.PlaceHolder != "" {
		return a.Tag.PlaceHolder
	}
	return strings.ToUpper(a.Name)
}

// spelled is a flag as it is written, such as "-c, --config=FILE".
func spelled(f *kong.Flag) string {
	s := "--" + f.Name
	if f.Short != 0 {
		s = fmt.Sprintf("-%c, %s", f.Short, s)
	}
	if !f.IsBool() {
		s += "=" + f.FormatPlaceHolder()
	}
	return s
}

func fromEnvironment(f *kong.Flag) string {
	if len(f.Envs) == 0 {
		return ""
	}
	return " ($" + strings.Join(f.Envs, ", $") + ")"
}

// shown are the commands that a user is told of.
func shown(all []*kong.Node) (kept []*kong.Node) {
	for _, c := range all {
		if !c.Hidden {
			kept = append(kept, c)
		}
	}
	return kept
}

// flags are those of a command that a user is told of, without --help.
func flags(c *kong.Node) (kept []*kong.Flag) {
	for _, group := range c.AllFlags(true) {
		for _, f := range group {
			if f.Name != "help" {
				kept = append(kept, f)
			}
		}
	}
	return kept
}
