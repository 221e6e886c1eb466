package accesslog

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"
)

func TestReasonsAreAllOfThem(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "entry.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared []Reason
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := v.Type.(*ast.Ident); ok && kind.Name == "Reason" {
			text, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			declared = append(declared, Reason(text))
		}
		return true
	})
	if !slices.Equal(declared, Reasons) {
		t.Errorf("Reasons are %v, want %v", Reasons, declared)
	}
	for i, r := range Reasons {
		if r.Number() != i {
			t.Errorf("%s is number %d, want %d", r, r.Number(), i)
		}
	}
	if Reason("no such").Number() != Internal.Number() {
		t.Error("a reason that is none is not taken for a bug")
	}
}
