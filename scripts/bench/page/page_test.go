package page

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFillReplacesItsOwn(t *testing.T) {
	const before = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n<!-- y: begin -->\nkept\n<!-- y: end -->\n"
	const want = "a\n<!-- x: begin -->\n| new |\n<!-- x: end -->\nb\n<!-- y: begin -->\nkept\n<!-- y: end -->\n"
	path := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(path, []byte(before), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time, there is nothing to change
		if err := Fill(path, "x", "| new |\n"); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	for name, bad := range map[string]string{"no begin": "<!-- x: end -->", "no end": "<!-- x: begin -->\n"} {
		if _, err := fill(bad, "x", ""); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestTable(t *testing.T) {
	if got, want := Table([][]string{{"a", "b"}, {"1", "2"}}), "| a | b |\n|---|---|\n| 1 | 2 |\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
