package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/tandemlb/tandem/internal/config/source"
)

// text returns the text of f, which is what.
func (d *decoder) text(f field, what string) (string, bool) {
	if f.value.Kind != yaml.ScalarNode || isNull(f.value) {
		d.expected(f, what)
		return "", false
	}
	return f.value.Value, true
}

// choice returns the one of options that f names.
func (d *decoder) choice(f field, otherwise string, options ...string) string {
	if !f.set() {
		return otherwise
	}
	got, ok := d.text(f, source.Enumerate(options, "or"))
	if !ok {
		return otherwise
	}
	if !slices.Contains(options, got) {
		d.invalid(f, "unknown value %q%s", got, source.Instead(got, options))
		return otherwise
	}
	return got
}

// reference returns the name of one of names, each of which is a kind.
func (d *decoder) reference(f field, kind string, names []string) string {
	got, ok := d.text(f, "the name of a "+kind)
	if ok && !slices.Contains(names, got) {
		d.invalid(f, "unknown %s %q%s", kind, got, source.Instead(got, names))
	}
	return got
}

func (d *decoder) boolean(f field, otherwise bool) bool {
	if !f.set() {
		return otherwise
	}
	got, ok := d.text(f, "true or false")
	switch {
	case !ok:
		return otherwise
	case got != "true" && got != "false":
		d.expected(f, "true or false")
	}
	return got == "true"
}

// integer returns the number of f, which lies in 1..high.
func (d *decoder) integer(f field, otherwise, high int) int {
	return d.number(f, otherwise, 1, high)
}

// number returns the number of f, which lies in low..high.
func (d *decoder) number(f field, otherwise, low, high int) int {
	if !f.set() {
		return otherwise
	}
	what := fmt.Sprintf("a number from %d to %d", low, high)
	got, ok := d.text(f, what)
	if !ok {
		return otherwise
	}
	n, ok := decimal(got, low, high)
	if !ok {
		d.expected(f, what)
		return otherwise
	}
	return n
}

// decimal returns the number s in low..high. A leading zero is refused: to YAML
// it means octal.
func decimal(s string, low, high int) (int, bool) {
	n, err := strconv.Atoi(s)
	if err != nil || n < low || n > high || strconv.Itoa(n) != s {
		return 0, false
	}
	return n, true
}

// duration returns the duration of f, which lies in low..high.
func (d *decoder) duration(f field, otherwise, low, high time.Duration) time.Duration {
	if !f.set() {
		return otherwise
	}
	const what = "a duration such as 100ms, 2s or 1m30s"
	got, ok := d.text(f, what)
	if !ok {
		return otherwise
	}
	v, err := time.ParseDuration(got)
	switch {
	case err != nil && isNumber(got):
		d.invalid(f, "%s has no unit: write %sms or %ss", got, got, got)
	case err != nil:
		d.expected(f, what)
	case v < low || v > high:
		d.invalid(f, "%s is out of range, expected %s to %s", got, formatDuration(low), formatDuration(high))
	default:
		return v
	}
	return otherwise
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, ".0123456789") == "" && strings.Count(s, ".") < 2
}

// formatDuration writes v as an operator does: 1m, not 1m0s.
func formatDuration(v time.Duration) string {
	s := v.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// path returns the file name of f, of at most limit bytes.
func (d *decoder) path(f field, otherwise string, limit int) string {
	if !f.set() {
		return otherwise
	}
	got, ok := d.text(f, "a path")
	switch {
	case !ok:
		return otherwise
	case got == "":
		d.invalid(f, "the path is empty")
	case len(got) > limit:
		d.invalid(f, "the path has %d bytes, at most %d are possible", len(got), limit)
	case strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }):
		d.invalid(f, "the path %q holds a character that does not print", got)
	}
	return got
}
