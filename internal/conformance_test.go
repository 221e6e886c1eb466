package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// testNames returns the names of all tests of the module.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir("..", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(p, "_test.go") {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range parsed.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
				names[f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// A table of requirements is worth what the tests that it names are.
func TestConformanceTableNamesTests(t *testing.T) {
	table, err := os.ReadFile("../docs/rfc9568.md")
	if err != nil {
		t.Fatal(err)
	}
	names := testNames(t)
	rows := 0
	for line := range strings.Lines(string(table)) {
		named := regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(line, -1)
		id := regexp.MustCompile(`^\| (V3-\d+) `).FindStringSubmatch(line)
		if id != nil {
			rows++
			if len(named) == 0 {
				t.Errorf("%s names no test", id[1])
			}
		}
		for _, n := range named {
			if !names[n[1]] {
				t.Errorf("no test has the name %s: %s", n[1], line)
			}
		}
	}
	if rows < 40 {
		t.Errorf("the table has %d rows with an id", rows)
	}
}
