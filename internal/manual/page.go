package manual

import (
	"bytes"
	"fmt"
	"strings"
)

// page is a manual page being written (groff_man(7)).
type page struct{ bytes.Buffer }

func (p *page) title(name string, section int, version string) {
	fmt.Fprintf(p, ".TH %s %d \"\" %s\n", quote(strings.ToUpper(name)), section, quote(name+" "+version))
	p.line(".nh\n.ad l") // no words divided, no lines stretched
}

// macro writes a request, with its arguments in quotes.
func (p *page) macro(name string, arguments ...string) {
	p.WriteString("." + name)
	for _, a := range arguments {
		p.WriteString(" " + quote(a))
	}
	p.WriteByte('\n')
}

// line writes what has been escaped.
func (p *page) line(s string) { p.WriteString(s + "\n") }

// text writes a paragraph, whose lines may be filled anew.
func (p *page) text(s string) {
	for l := range strings.Lines(s) {
		p.line(guard(escape(strings.TrimSpace(l))))
	}
}

// term writes what something is called, and what it means.
func (p *page) term(name, meaning string) {
	p.macro("TP")
	p.line(`\fB` + escape(name) + `\fR`)
	p.text(meaning)
}

// example writes lines as they are.
func (p *page) example(lines []string) {
	p.line(".sp\n.EX")
	for _, l := range lines {
		p.line(guard(escape(l)))
	}
	p.macro("EE")
}

// escape has roff take s for text.
func escape(s string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(s)
}

// guard keeps a line that begins like a request from being one.
func guard(s string) string {
	if strings.HasPrefix(s, ".") {
		return `\&` + s
	}
	return s
}

func quote(s string) string { return `"` + strings.ReplaceAll(escape(s), `"`, `""`) + `"` }
