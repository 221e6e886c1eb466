// Package internal_test holds the rules of the whole module: who may import
// whom, and the sizes beyond which a thing wants to be split.
package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/tandemlb/tandem/"

// pure packages take the time as an argument and touch nothing outside.
var pure = []string{
	"internal/config/shadow", "internal/dashboard", "internal/doctor", "internal/judge", "internal/report",
	"internal/roster", "internal/tickets", "internal/timeline/notes", "internal/verdict", "proxy", "proxy/balance",
	"proxy/census", "proxy/clienthello", "proxy/forward", "proxy/http1", "proxy/http1/syntax", "proxy/l7/outcome",
	"proxy/l7/rules", "proxy/l7/spans", "proxy/overload", "proxy/proxyproto", "proxy/ratelimit", "proxy/reactor/slots",
	"proxy/reactor/wheel", "proxy/retry", "proxy/route", "proxy/secure", "proxy/stats", "proxy/sticky", "proxy/trace",
	"proxy/upstream", "scripts/chaos/judge", "scripts/chaos/plan", "scripts/chaos/report", "scripts/chaos/wire", "vrrp",
}

// notInPure are the imports that would make a package impure.
var notInPure = []string{"net", "net/http", "os", "os/exec", "log", "syscall", "context", "go.uber.org/zap", "golang.org/x/sys/unix"}

// mayImport lists, for each package that has restrictions, the packages of this
// module that it may import. A running package never imports config: what it
// needs is passed to it as values of its own domain.
var mayImport = map[string][]string{
	"internal/admin": {"vrrp"},
	"internal/agent": {
		"internal/await", "internal/ipc", "internal/netio", "internal/notice", "internal/ownership", "internal/usage",
		"internal/vip", "internal/vmac", "proxy/stats", "vrrp",
	},
	"internal/await":           {},
	"internal/capability":      {},
	"internal/certs":           {"proxy", "proxy/secure"},
	"internal/child":           {"internal/telemetry"},
	"internal/config":          {"internal/config/notation", "internal/config/source", "internal/config/traffic", "proxy", "vrrp"},
	"internal/config/notation": {"internal/config/source"},
	"internal/config/secure":   {"internal/config/notation", "proxy"},
	"internal/config/shadow":   {"proxy"},
	"internal/config/source":   {},
	"internal/config/traffic": {
		"internal/config/notation", "internal/config/secure", "internal/config/shadow", "internal/config/source", "proxy",
	},
	"internal/console":   {"internal/admin", "internal/gate", "internal/metrics", "internal/page", "proxy/stats"},
	"internal/dashboard": {"internal/admin", "vrrp"},
	"internal/doctor":    {},
	"internal/doctor/exam": {
		"internal/admin", "internal/certs", "internal/config", "internal/doctor", "internal/ipc", "internal/netio",
		"internal/place", "proxy", "vrrp",
	},
	"internal/gate":      {},
	"internal/ipc":       {"proxy", "proxy/stats", "vrrp"},
	"internal/judge":     {"internal/ipc", "internal/peer", "proxy", "vrrp"},
	"internal/listen":    {"proxy"},
	"internal/manual":    {},
	"internal/metrics":   {"internal/admin", "internal/gate", "internal/ipc", "proxy/stats", "vrrp"},
	"internal/netio":     {},
	"internal/notice":    {},
	"internal/otlp":      {"proxy/trace"},
	"internal/ownership": {"internal/ipc", "internal/vmac"},
	"internal/page":      {"internal/admin", "internal/verdict", "proxy/stats"},
	"internal/peer":      {"internal/tickets", "vrrp"},
	"internal/place":     {"internal/config", "internal/ipc"},
	"internal/realtime":  {},
	"internal/report": {
		"internal/admin", "internal/ipc", "internal/judge", "internal/listen", "internal/peer", "internal/roster", "proxy",
		"vrrp",
	},
	"internal/resolve":  {"internal/roster"},
	"internal/roster":   {"internal/config/source", "proxy"},
	"internal/sandbox":  {},
	"internal/sdnotify": {},
	"internal/supervisor": {
		"internal/admin", "internal/capability", "internal/certs", "internal/child", "internal/config", "internal/console", "internal/ipc",
		"internal/judge", "internal/listen", "internal/metrics", "internal/peer", "internal/place", "internal/report",
		"internal/resolve", "internal/roster", "internal/sdnotify", "internal/telemetry", "internal/tickets",
		"internal/timeline", "internal/timeline/notes", "internal/usage", "internal/vip", "internal/vmac", "proxy",
		"proxy/sticky", "vrrp",
	},
	"internal/telemetry":      {},
	"internal/tickets":        {},
	"internal/timeline":       {"internal/admin", "internal/peer"},
	"internal/timeline/notes": {"internal/admin", "internal/ipc", "internal/peer", "vrrp"},
	"internal/usage":          {},
	"internal/verdict":        {"internal/admin", "vrrp"},
	"internal/vip":            {},
	"internal/vmac":           {},
	"internal/worker": {
		"internal/ipc", "internal/otlp", "internal/usage", "proxy", "proxy/accesslog", "proxy/backend", "proxy/check",
		"proxy/l4", "proxy/l7", "proxy/overload", "proxy/reactor", "proxy/secure", "proxy/stats", "proxy/trace", "proxy/udp",
		"proxy/upstream",
	},
	"proxy":           {},
	"proxy/accesslog": {},
	"proxy/backend": {
		"proxy", "proxy/reactor", "proxy/reactor/tlsconn", "proxy/retry", "proxy/secure", "proxy/stats", "proxy/sticky",
		"proxy/upstream",
	},
	"proxy/balance":     {"proxy"},
	"proxy/census":      {},
	"proxy/check":       {"proxy", "proxy/dial", "proxy/http1", "proxy/proxyproto", "proxy/secure", "proxy/upstream"},
	"proxy/clienthello": {},
	"proxy/dial":        {"proxy/reactor", "proxy/reactor/tlsconn", "proxy/upstream"},
	"proxy/forward":     {},
	"proxy/frontend": {
		"proxy", "proxy/census", "proxy/proxyproto", "proxy/ratelimit", "proxy/reactor", "proxy/reactor/socket",
		"proxy/reactor/tlsconn", "proxy/secure",
	},
	"proxy/http1":        {"proxy/http1/syntax"},
	"proxy/http1/syntax": {},
	"proxy/l4": {
		"proxy", "proxy/balance", "proxy/clienthello", "proxy/dial", "proxy/frontend", "proxy/proxyproto", "proxy/reactor",
		"proxy/reactor/tlsconn", "proxy/route", "proxy/secure", "proxy/stats", "proxy/tunnel", "proxy/upstream",
	},
	"proxy/l7": {
		"proxy", "proxy/accesslog", "proxy/backend", "proxy/balance", "proxy/dial", "proxy/forward", "proxy/frontend",
		"proxy/http1", "proxy/l7/flow", "proxy/l7/ledger", "proxy/l7/outcome", "proxy/l7/rules", "proxy/l7/spans",
		"proxy/proxyproto", "proxy/reactor", "proxy/reactor/tlsconn", "proxy/retry", "proxy/route", "proxy/secure",
		"proxy/stats", "proxy/sticky", "proxy/trace", "proxy/tunnel", "proxy/upstream",
	},
	"proxy/l7/flow":    {"proxy", "proxy/reactor"},
	"proxy/l7/ledger":  {"proxy", "proxy/accesslog", "proxy/stats"},
	"proxy/l7/outcome": {"proxy/accesslog", "proxy/retry"},
	"proxy/l7/rules":   {"proxy", "proxy/http1", "proxy/ratelimit", "proxy/route"},
	"proxy/l7/spans":   {"proxy/accesslog", "proxy/http1", "proxy/l7/outcome", "proxy/retry", "proxy/trace"},
	"proxy/overload":   {},
	"proxy/proxyproto": {"proxy"},
	"proxy/ratelimit":  {"proxy"},
	"proxy/reactor": {
		"proxy/reactor/epoll", "proxy/reactor/inbox", "proxy/reactor/pipe", "proxy/reactor/slots", "proxy/reactor/socket",
		"proxy/reactor/wheel",
	},
	"proxy/reactor/epoll":       {},
	"proxy/reactor/inbox":       {},
	"proxy/reactor/pipe":        {},
	"proxy/reactor/reactortest": {"proxy/reactor"},
	"proxy/reactor/slots":       {},
	"proxy/reactor/socket":      {},
	"proxy/reactor/tlsconn":     {"proxy/reactor"},
	"proxy/reactor/wheel":       {},
	"proxy/retry":               {"proxy"},
	"proxy/route":               {"proxy", "proxy/http1/syntax"},
	"proxy/secure":              {"proxy"},
	"proxy/secure/securetest":   {},
	"proxy/stats":               {"proxy"},
	"proxy/sticky":              {},
	"proxy/trace":               {},
	"proxy/tunnel":              {"proxy/reactor", "proxy/reactor/socket", "proxy/reactor/tlsconn"},
	"proxy/udp": {
		"proxy", "proxy/balance", "proxy/census", "proxy/dial", "proxy/reactor", "proxy/reactor/socket",
		"proxy/reactor/wheel", "proxy/udp/mmsg", "proxy/upstream",
	},
	"proxy/udp/mmsg": {"proxy/reactor/socket"},
	"proxy/upstream": {"proxy", "proxy/balance"},
	"vagrant/probe":  {"internal/lab/probe"},
	"vagrant/rehearsal": {
		"internal/admin", "internal/lab/probe", "internal/lab/report", "vrrp",
	},
	"vrrp": {},
}

// file is a source file of the module that is not a test.
type file struct {
	dir  string // of the package, from the root of the module
	path string
	ast  *ast.File
	set  *token.FileSet
}

func sources(t *testing.T) []file {
	t.Helper()
	var all []file
	err := filepath.WalkDir("..", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != "..":
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go"):
			return nil
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, p, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		all = append(all, file{filepath.ToSlash(filepath.Dir(p[len("../"):])), p, parsed, set})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Fatalf("found only %d files", len(all))
	}
	return all
}

func imports(f file) []string {
	var all []string
	for _, i := range f.ast.Imports {
		if p, err := strconv.Unquote(i.Path.Value); err == nil {
			all = append(all, p)
		}
	}
	return all
}

func TestArrowsPointDown(t *testing.T) {
	for _, f := range sources(t) {
		allowed, restricted := mayImport[f.dir]
		if !restricted && !strings.HasPrefix(f.dir, "cmd/") && !strings.HasPrefix(f.dir, "internal/lab") && !strings.HasPrefix(f.dir, "scripts/") {
			t.Errorf("%s: package %q has no rule in mayImport", f.path, f.dir)
			continue
		}
		for _, p := range imports(f) {
			if own, ok := strings.CutPrefix(p, module); restricted && ok && !slices.Contains(allowed, own) {
				t.Errorf("%s imports %s", f.path, own)
			}
		}
	}
}

func TestPurePackagesStayPure(t *testing.T) {
	for _, f := range sources(t) {
		if !slices.Contains(pure, f.dir) {
			continue
		}
		for _, p := range imports(f) {
			if slices.Contains(notInPure, p) {
				t.Errorf("%s imports %s", f.path, p)
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "After", "Sleep", "NewTimer", "NewTicker", "AfterFunc"}, s.Sel.Name) {
					t.Errorf("%s: time.%s in a pure package", f.set.Position(n.Pos()), s.Sel.Name)
				}
			}
			if g, ok := n.(*ast.GoStmt); ok {
				t.Errorf("%s: a goroutine in a pure package", f.set.Position(g.Pos()))
			}
			return true
		})
	}
}

func TestSizes(t *testing.T) {
	const (
		maxFile, maxFunction, maxParameters, maxMethods = 500, 80, 5, 5
	)
	lines := map[string]int{}
	for _, f := range sources(t) {
		end := f.set.Position(f.ast.End()).Line
		lines[f.dir] += end
		if end > maxFile {
			t.Errorf("%s has %d lines, more than %d", f.path, end, maxFile)
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if length := f.set.Position(n.End()).Line - f.set.Position(n.Pos()).Line; length > maxFunction {
					t.Errorf("%s: %s has %d lines, more than %d", f.set.Position(n.Pos()), n.Name.Name, length, maxFunction)
				}
				if n.Name.Name == "init" && n.Recv == nil {
					t.Errorf("%s: func init", f.set.Position(n.Pos()))
				}
				if n.Type.Params.NumFields() > maxParameters {
					t.Errorf("%s: %s has %d parameters, more than %d", f.set.Position(n.Pos()), n.Name.Name, n.Type.Params.NumFields(), maxParameters)
				}
			case *ast.InterfaceType:
				if n.Methods.NumFields() > maxMethods {
					t.Errorf("%s: interface with %d methods, more than %d", f.set.Position(n.Pos()), n.Methods.NumFields(), maxMethods)
				}
			}
			return true
		})
	}
	for dir, n := range lines {
		if n > 2500 {
			t.Errorf("package %s has %d lines, more than 2500", dir, n)
		}
	}
}

func TestNoPackageIsNamedAfterNothing(t *testing.T) {
	for _, f := range sources(t) {
		if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "manager", "misc"}, path.Base(f.dir)) {
			t.Errorf("package %s says nothing by its name", f.dir)
		}
	}
}

func TestTestsDoNotWaitByTheClock(t *testing.T) {
	err := filepath.WalkDir("..", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(p, "_test.go") {
			return err
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		// In a bubble of synctest a sleep takes no time, and is the way to move it.
		if strings.Contains(string(text), "time."+"Sleep(") && !strings.Contains(string(text), "testing/synctest") {
			t.Errorf("%s sleeps: wait for what is to happen instead", p)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The path of the traffic has a codec of its own, which is stricter: another one
// beside it would read some message in another way.
func TestTrafficPassesOneCodec(t *testing.T) {
	for _, f := range sources(t) {
		if strings.HasPrefix(f.dir, "proxy") && slices.Contains(imports(f), "net/http") {
			t.Errorf("%s imports net/http", f.path)
		}
	}
}
