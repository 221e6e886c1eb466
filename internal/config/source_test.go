package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExcerpt(t *testing.T) {
	long := strings.Repeat("0123456789", 20)
	tests := []struct {
		name  string
		src   string
		place place
		want  string
	}{
		{"in the middle", "a: bcd e", place{1, 4, 3}, "   1 | a: bcd e\n     |    ^^^"},
		{"behind the end", "abc", place{1, 4, 1}, "   1 | abc\n     |    ^"},
		{"an empty line", "", place{1, 1, 1}, "   1 | \n     | ^"},
		{"no such line", "abc", place{7, 3, 1}, "   7 | \n     | ^"},
		{"longer than the line", "abc", place{1, 2, 9}, "   1 | abc\n     |  ^^"},
		{"behind a tab", "a:\tb", place{1, 4, 1}, "   1 | a:\tb\n     |   \t^"},
		{"behind wide characters", "名前: x", place{1, 5, 1}, "   1 | 名前: x\n     |       ^"},
		{"on wide characters", "a: 名前", place{1, 4, 2}, "   1 | a: 名前\n     |    ^^^^"},
		{"behind a combining accent", "e\u0301: x", place{1, 5, 1}, "   1 | e\u0301: x\n     |    ^"},
		{"on a combining accent alone", "\u05a5", place{1, 1, 1}, "   1 | \u05a5\n     | ^"},
		{"behind an emoji", "🚀: x", place{1, 4, 1}, "   1 | 🚀: x\n     |     ^"},
		{"hidden and terminal control characters", "a\u202eb\u00a0\x1b[2Jx", place{1, 9, 1}, "   1 | a\ufffdb\ufffd\ufffd[2Jx\n     |         ^"},
		{"the beginning of a long line", long, place{1, 1, 2}, "   1 | " + long[:120] + "…\n     | ^^"},
		{"the middle of a long line", long, place{1, 71, 1}, "   1 | …" + long[10:130] + "…\n     |  " + strings.Repeat(" ", 60) + "^"},
		{"the end of a long line", long, place{1, 200, 1}, "   1 | …" + long[80:] + "\n     |  " + strings.Repeat(" ", 119) + "^"},
		{"a later line", "a\nb\nc", place{3, 1, 1}, "   3 | c\n     | ^"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := newSource("x.yaml", []byte(tt.src)).excerpt(tt.place)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("excerpt (-want +got):\n%s", diff)
			}
		})
	}
}

// TestLinesAreThoseOfYAML holds our lines to the numbers that the YAML scanner
// gives, whatever ends a line.
func TestLinesAreThoseOfYAML(t *testing.T) {
	for _, end := range []string{"\n", "\r\n", "\r", "\u0085", "\u2028", "\u2029"} {
		for _, start := range []string{"", "\uFEFF"} {
			t.Run(fmt.Sprintf("%q%q", start, end), func(t *testing.T) {
				src := start + strings.Join([]string{"log:", "  level: info", "", "# ü", "loq: {}", ""}, end)
				_, err := Parse("x.yaml", []byte(src))
				var errs Errors
				if !errors.As(err, &errs) {
					t.Fatalf("Parse = %v, want Errors", err)
				}
				want := Errors{{File: "x.yaml", Line: 5, Column: 1, Message: `unknown key "loq", did you mean "log"?`, Excerpt: "   5 | loq: {}\n     | ^^^"}}
				if diff := cmp.Diff(want, errs); diff != "" {
					t.Errorf("errors (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestSyntaxErrorFarFromItsCause checks that a file whose first bracket stays
// open is refused in bounded time, with a place.
func TestSyntaxErrorFarFromItsCause(t *testing.T) {
	src := "log: {level: info}\npools: {\n" + strings.Repeat("x: y,\n", 5000)
	_, err := Parse("x.yaml", []byte(src))
	var errs Errors
	if !errors.As(err, &errs) || len(errs) != 1 {
		t.Fatalf("Parse = %v, want one error", err)
	}
	if !strings.Contains(errs[0].Message, "not YAML") {
		t.Errorf("message = %q, want one about YAML", errs[0].Message)
	}
}
