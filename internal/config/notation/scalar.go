package notation

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

// Text returns the text of f, which is what.
func (d *Decoder) Text(f Field, what string) (string, bool) {
	if f.Value.Kind != yaml.ScalarNode || IsNull(f.Value) {
		d.Expected(f, what)
		return "", false
	}
	return f.Value.Value, true
}

// Choice returns the one of options that f names.
func (d *Decoder) Choice(f Field, otherwise string, options ...string) string {
	if !f.Set() {
		return otherwise
	}
	got, ok := d.Text(f, source.Enumerate(options, "or"))
	if !ok {
		return otherwise
	}
	if !slices.Contains(options, got) {
		d.Invalid(f, "unknown value %q%s", got, source.Instead(got, options))
		return otherwise
	}
	return got
}

// Reference returns the name of one of names, each of which is a kind.
func (d *Decoder) Reference(f Field, kind string, names []string) string {
	got, ok := d.Text(f, "the name of a "+kind)
	if ok && !slices.Contains(names, got) {
		d.Invalid(f, "unknown %s %q%s", kind, got, source.Instead(got, names))
	}
	return got
}

// Boolean returns the value of f, or otherwise where it is left out.
func (d *Decoder) Boolean(f Field, otherwise bool) bool {
	if !f.Set() {
		return otherwise
	}
	got, ok := d.Text(f, "true or false")
	switch {
	case !ok:
		return otherwise
	case got != "true" && got != "false":
		d.Expected(f, "true or false")
	}
	return got == "true"
}

// Integer returns the number of f, which lies in 1..high.
func (d *Decoder) Integer(f Field, otherwise, high int) int {
	return d.Number(f, otherwise, 1, high)
}

// Number returns the number of f, which lies in low..high.
func (d *Decoder) Number(f Field, otherwise, low, high int) int {
	if !f.Set() {
		return otherwise
	}
	what := fmt.Sprintf("a number from %d to %d", low, high)
	got, ok := d.Text(f, what)
	if !ok {
		return otherwise
	}
	n, ok := Decimal(got, low, high)
	if !ok {
		d.Expected(f, what)
		return otherwise
	}
	return n
}

// Decimal returns the number s in low..high. A leading zero is refused: to YAML
// it means octal.
func Decimal(s string, low, high int) (int, bool) {
	n, err := strconv.Atoi(s)
	if err != nil || n < low || n > high || strconv.Itoa(n) != s {
		return 0, false
	}
	return n, true
}

// Duration returns the duration of f, which lies in low..high.
func (d *Decoder) Duration(f Field, otherwise, low, high time.Duration) time.Duration {
	if !f.Set() {
		return otherwise
	}
	const what = "a duration such as 100ms, 2s or 1m30s"
	got, ok := d.Text(f, what)
	if !ok {
		return otherwise
	}
	v, err := time.ParseDuration(got)
	switch {
	case err != nil && IsNumber(got):
		d.Invalid(f, "%s has no unit: write %sms or %ss", got, got, got)
	case err != nil:
		d.Expected(f, what)
	case v < low || v > high:
		d.Invalid(f, "%s is out of range, expected %s to %s", got, FormatDuration(low), FormatDuration(high))
	default:
		return v
	}
	return otherwise
}

// IsNumber reports whether s is a number without a unit.
func IsNumber(s string) bool {
	return s != "" && strings.Trim(s, ".0123456789") == "" && strings.Count(s, ".") < 2
}

// FormatDuration writes v as an operator does: 1m, not 1m0s.
func FormatDuration(v time.Duration) string {
	s := v.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Path returns the file name of f, of at most limit bytes.
func (d *Decoder) Path(f Field, otherwise string, limit int) string {
	if !f.Set() {
		return otherwise
	}
	got, ok := d.Text(f, "a path")
	switch {
	case !ok:
		return otherwise
	case got == "":
		d.Invalid(f, "the path is empty")
	case len(got) > limit:
		d.Invalid(f, "the path has %d bytes, at most %d are possible", len(got), limit)
	case strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }):
		d.Invalid(f, "the path %q holds a character that does not print", got)
	}
	return got
}
