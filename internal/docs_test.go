package internal_test

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/proxy/frontend"
	"github.com/tandemlb/tandem/proxy/http1"
	"github.com/tandemlb/tandem/proxy/udp"
)

func manual(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What an operator finds in a metric or in a line of the log is explained.
func TestReasonsAreInTheManual(t *testing.T) {
	text := manual(t, "http.md")
	var reasons []string
	for _, r := range http1.Reasons() {
		reasons = append(reasons, string(r))
	}
	for _, l := range []frontend.Limit{frontend.Connections, frontend.ConnectionsPerClient} {
		reasons = append(reasons, string(l))
	}
	for _, f := range sources(t) {
		switch f.dir {
		case "proxy/accesslog":
			reasons = append(reasons, constants(f, "Reason")...)
		case "proxy/l7":
			reasons = append(reasons, refusals(f)...)
		}
	}
	if len(reasons) < 60 {
		t.Fatalf("found only %d reasons: %q", len(reasons), reasons)
	}
	for _, r := range reasons {
		if !strings.Contains(text, "`"+r+"`") {
			t.Errorf("docs/http.md does not say what %q is", r)
		}
	}
}

// The same of datagrams that are dropped.
func TestReasonsForDatagramsAreInTheManual(t *testing.T) {
	text := manual(t, "udp.md")
	for _, r := range udp.Reasons() {
		if r == "" || !strings.Contains(text, "| `"+r+"` |") {
			t.Errorf("docs/udp.md does not say what %q is", r)
		}
	}
}

// The same of connections of TCP.
func TestReasonsOfTCPAreInTheManual(t *testing.T) {
	text := manual(t, "tcp.md")
	found := 0
	for _, f := range sources(t) {
		var reasons []string
		switch f.dir {
		case "proxy/l4":
			reasons = constants(f, "cause")
		case "proxy/clienthello":
			for _, r := range constants(f, "Reason") {
				reasons = append(reasons, "hello_"+r)
			}
		case "proxy/proxyproto":
			for _, r := range constants(f, "Reason") {
				reasons = append(reasons, "proxy_header_"+r)
			}
		}
		for _, r := range reasons {
			found++
			if !strings.Contains(text, "`"+r+"`") {
				t.Errorf("docs/tcp.md does not say what %q is", r)
			}
		}
	}
	if found < 15 {
		t.Errorf("found only %d reasons", found)
	}
}

// constants returns the values of the string constants of a type.
func constants(f file, of string) (all []string) {
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == 1 {
			if t, ok := v.Type.(*ast.Ident); ok && t.Name == of {
				all = append(all, literals(v.Values)...)
			}
		}
		return true
	})
	return all
}

// refusals returns the reasons that are given to Refuse as they are.
func refusals(f file) (all []string) {
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if c, ok := n.(*ast.CallExpr); ok {
			if s, ok := c.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Refuse" {
				all = append(all, literals(c.Args)...)
			}
		}
		return true
	})
	return all
}

func literals(expressions []ast.Expr) (all []string) {
	for _, e := range expressions {
		if l, ok := e.(*ast.BasicLit); ok {
			if s, err := strconv.Unquote(l.Value); err == nil {
				all = append(all, s)
			}
		}
	}
	return all
}

// The same of the kinds of events.
func TestKindsOfEventsAreInTheManual(t *testing.T) {
	text := manual(t, "events.md")
	var kinds []string
	for _, f := range sources(t) {
		if f.dir == "internal/admin" {
			kinds = append(kinds, constants(f, "Kind")...)
		}
	}
	if len(kinds) < 15 {
		t.Fatalf("found only %d kinds: %q", len(kinds), kinds)
	}
	for _, k := range kinds {
		if !strings.Contains(text, "`"+k+"`") {
			t.Errorf("docs/events.md does not say what %q is", k)
		}
	}
}

// Whoever is woken by an alert finds what to do; and what he is told to look at exists.
func TestAlertsAreInTheManual(t *testing.T) {
	page, metrics := manual(t, "troubleshooting.md"), manual(t, "metrics.md")
	alerts := regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(manual(t, "alerts.yml"), -1)
	if len(alerts) < 25 {
		t.Fatalf("found only %d alerts", len(alerts))
	}
	for _, a := range alerts {
		if !strings.Contains(page, "`"+a[1]+"`") {
			t.Errorf("docs/troubleshooting.md does not say what to do about %s", a[1])
		}
	}
	for _, m := range regexp.MustCompile(`tandem_\w+`).FindAllString(page, -1) {
		if !strings.Contains(metrics, "| `"+m+"` |") {
			t.Errorf("docs/troubleshooting.md names %s, which docs/metrics.md does not have", m)
		}
	}
}

// A link of the manual leads to a file, and to a heading of it if it names one.
func TestLinksOfTheManualLeadSomewhere(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	found := 0
	for _, page := range append(pages, "../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range link.FindAllStringSubmatch(string(text), -1) {
			to, heading, _ := strings.Cut(l[1], "#")
			if strings.Contains(to, "://") {
				continue
			}
			found++
			target := page
			if to != "" {
				target = filepath.Join(filepath.Dir(page), to)
			}
			text, err := os.ReadFile(target)
			if err != nil {
				t.Errorf("%s links to %s, which is not there", page, l[1])
			} else if heading != "" && !slices.Contains(anchors(string(text)), heading) {
				t.Errorf("%s links to %s, which has no such heading", page, l[1])
			}
		}
	}
	if found < 60 {
		t.Errorf("found only %d links", found)
	}
}

// anchors are the names that a browser knows the headings of a page by.
func anchors(page string) (all []string) {
	for line := range strings.Lines(page) {
		if title := strings.TrimLeft(line, "#"); title != line {
			title = regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), "")
			all = append(all, strings.ReplaceAll(title, " ", "-"))
		}
	}
	return all
}
