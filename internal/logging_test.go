package internal_test

import (
	"go/ast"
	"go/token"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// logged is a message with the level that it is logged at. Where a part of it is not known
// before, that is "…".
type logged struct{ level, message string }

// logCalls returns what f logs: calls of a method of a zap.Logger that is named after a
// level, and of the agent's reporter.
func (t texts) logCalls(f file) (calls []logged, fields []string) {
	zapped := slices.Contains(imports(f), "go.uber.org/zap")
	reported := f.dir == "internal/agent"
	ast.Inspect(f.ast, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		switch name := method.Sel.Name; {
		case zapped && slices.Contains([]string{"Debug", "Info", "Warn", "Error"}, name) && len(call.Args) > 0:
			if x, is := method.X.(*ast.Ident); is && x.Name == "zap" {
				return true // a field of that name
			}
			if m := t.of(call.Args[0]); m != "" {
				calls = append(calls, logged{strings.ToLower(name), m})
			}
		case reported && (name == "log" || name == "role") && len(call.Args) == 3:
			calls = append(calls, logged{t.of(call.Args[0]), t.of(call.Args[1])})
		}
		if x, is := method.X.(*ast.Ident); is && x.Name == "zap" && len(call.Args) > 1 {
			fields = append(fields, t.of(call.Args[0]))
		}
		return true
	})
	return calls, fields
}

// texts are the constants of a package that are texts, by name.
type texts map[string]string

// textsOf returns those of each package.
func textsOf(files []file) map[string]texts {
	all := map[string]texts{}
	for _, f := range files {
		if all[f.dir] == nil {
			all[f.dir] = texts{}
		}
		for _, d := range f.ast.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, s := range g.Specs {
				if v := s.(*ast.ValueSpec); len(v.Names) == len(v.Values) {
					for i, name := range v.Names {
						all[f.dir][name.Name] = all[f.dir].of(v.Values[i])
					}
				}
			}
		}
	}
	return all
}

// of returns the text of an expression: what is not known before is "…".
func (t texts) of(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			text, _ := strconv.Unquote(e.Value)
			return text
		}
		return ""
	case *ast.BinaryExpr:
		return t.of(e.X) + t.of(e.Y)
	case *ast.Ident:
		if text, is := t[e.Name]; is {
			return text
		}
	}
	return "…"
}

// The manual of the log lists every message that the node logs, each with its level.
func TestManualListsEveryLogMessage(t *testing.T) {
	inCode := map[logged]string{}
	all := sources(t)
	constants := textsOf(all)
	for _, f := range all {
		if strings.HasPrefix(f.dir, "scripts/") || strings.HasPrefix(f.dir, "internal/lab") {
			continue
		}
		calls, _ := constants[f.dir].logCalls(f)
		for _, c := range calls {
			inCode[c] = f.path
		}
	}
	text, err := os.ReadFile("../docs/logging.md")
	if err != nil {
		t.Fatal(err)
	}
	inManual := map[logged]bool{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.HasPrefix(cells[1], " `") {
			continue
		}
		for level := range strings.SplitSeq(cells[2], ",") {
			inManual[logged{strings.TrimSpace(level), strings.Trim(strings.TrimSpace(cells[1]), "`")}] = true
		}
	}
	for _, c := range slices.SortedFunc(maps.Keys(inCode), func(a, b logged) int { return strings.Compare(a.message, b.message) }) {
		if !inManual[c] {
			t.Errorf("%s logs %q at level %s, which docs/logging.md does not say", inCode[c], c.message, c.level)
		}
	}
	for c := range inManual {
		if inCode[c] == "" {
			t.Errorf("docs/logging.md has %q at level %s, which nobody logs", c.message, c.level)
		}
	}
}

// A key that is on every line must not come twice.
func TestFieldsOfTheLogDoNotTakeTheKeysOfEveryLine(t *testing.T) {
	for _, f := range sources(t) {
		if f.dir == "internal/telemetry" {
			continue
		}
		_, fields := texts{}.logCalls(f)
		for _, key := range fields {
			if slices.Contains([]string{"time", "level", "msg", "process", "node", "pid"}, key) {
				t.Errorf("%s logs a field %q, which every line has already", f.path, key)
			}
		}
	}
}
