package config_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/config"
)

// TestLinesAreThoseOfYAML holds our lines to the numbers that the YAML scanner
// gives, whatever ends a line.
func TestLinesAreThoseOfYAML(t *testing.T) {
	for _, end := range []string{"\n", "\r\n", "\r", "\u0085", "\u2028", "\u2029"} {
		for _, start := range []string{"", "\uFEFF"} {
			t.Run(fmt.Sprintf("%q%q", start, end), func(t *testing.T) {
				src := start + strings.Join([]string{"log:", "  level: info", "", "# ü", "loq: {}", ""}, end)
				_, err := config.Parse("x.yaml", []byte(src))
				var errs config.Errors
				if !errors.As(err, &errs) {
					t.Fatalf("Parse = %v, want Errors", err)
				}
				want := config.Errors{{File: "x.yaml", Line: 5, Column: 1, Message: `unknown key "loq", did you mean "log"?`, Excerpt: "   5 | loq: {}\n     | ^^^"}}
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
	_, err := config.Parse("x.yaml", []byte(src))
	var errs config.Errors
	if !errors.As(err, &errs) || len(errs) != 1 {
		t.Fatalf("Parse = %v, want one error", err)
	}
	if !strings.Contains(errs[0].Message, "not YAML") {
		t.Errorf("message = %q, want one about YAML", errs[0].Message)
	}
}
