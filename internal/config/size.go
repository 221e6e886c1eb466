package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// units are the units of a size, the greatest of each kind first.
var units = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3},
	{"B", 1},
}

const sizeForm = "a size such as 512B, 32KiB or 64MiB"

// size returns the number of bytes of f, which lies in low..high. When low is 0,
// a bare 0 stands for no limit.
func (d *decoder) size(f field, otherwise, low, high int64) int64 {
	if !f.set() {
		return otherwise
	}
	what := sizeForm
	if low == 0 {
		what += ", or 0 for no limit"
	}
	got, ok := d.text(f, what)
	if !ok {
		return otherwise
	}
	n, err := parseSize(got)
	switch {
	case got == "0" && low == 0:
		return 0
	case got == "0":
		d.invalid(f, "0 is out of range, expected %s to %s", formatSize(low), formatSize(high))
	case err != nil && isNumber(got):
		d.invalid(f, "%s has no unit: write %sB or %sKiB", got, got, got)
	case err != nil:
		d.invalid(f, "expected %s, found %q%s", what, got, unitHint(got, ""))
	case n < low || n > high || n == 0:
		d.invalid(f, "%s is out of range, expected %s to %s", got, formatSize(max(low, 1)), formatSize(high))
	default:
		return n
	}
	return otherwise
}

// rate returns the number of bytes a second of f, which is at most high. A bare 0
// stands for no limit.
func (d *decoder) rate(f field, otherwise, high int64) int64 {
	if !f.set() {
		return otherwise
	}
	const what = "a rate such as 240B/s or 1KiB/s, or 0 for no limit"
	got, ok := d.text(f, what)
	if !ok {
		return otherwise
	}
	size, perSecond := strings.CutSuffix(got, "/s")
	n, err := parseSize(size)
	switch {
	case got == "0":
		return 0
	case isNumber(size):
		d.invalid(f, "%s has no unit: write %sB/s or %sKiB/s", got, size, size)
	case err == nil && !perSecond:
		d.invalid(f, "%s is a size, not a rate: write %s/s", got, got)
	case err != nil:
		d.invalid(f, "expected %s, found %q%s", what, got, unitHint(size, "/s"))
	case n < 1 || n > high:
		d.invalid(f, "%s is out of range, expected 1B/s to %s/s", got, formatSize(high))
	default:
		return n
	}
	return otherwise
}

// parseSize parses a whole number with one of the units.
func parseSize(s string) (int64, error) {
	for _, u := range units {
		digits, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, ok := decimal(digits, 0, math.MaxInt)
		switch {
		case !ok:
			return 0, fmt.Errorf("%q is not a whole number", digits)
		case int64(n) > math.MaxInt64/u.bytes:
			return math.MaxInt64, nil // beyond every range
		}
		return int64(n) * u.bytes, nil
	}
	return 0, fmt.Errorf("%q is not a size", s)
}

// unitHint says which unit s, which is no size, likely means; suffix goes behind it.
func unitHint(s, suffix string) string {
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	unit := strings.ToLower(s[len(digits):])
	digits = strings.TrimSpace(digits)
	if _, ok := decimal(digits, 0, math.MaxInt); !ok {
		return ""
	}
	for _, u := range units {
		name := strings.ToLower(u.name)
		// 8k and 8m are bytes in binary units to most programs that take them.
		if unit == name || unit != "" && len(u.name) == 3 && (unit == name[:1] || unit == name[:2]) {
			return fmt.Sprintf(", did you mean %q?", digits+u.name+suffix)
		}
	}
	return ""
}

// formatSize writes n in the greatest unit that divides it; none is 0.
func formatSize(n int64) string {
	if n == 0 {
		return "0"
	}
	for _, u := range units {
		if n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	panic(fmt.Sprintf("config: no unit for %d bytes", n))
}

// formatRate writes n bytes a second.
func formatRate(n int64) string {
	if n == 0 {
		return "0"
	}
	return formatSize(n) + "/s"
}

// millionths are what a share is counted in, so that it means the same after it
// was written out.
const millionths = 1e6

// share returns the share of f, a percentage above 0% and at most 100%, in (0, 1].
func (d *decoder) share(f field, otherwise float64) float64 {
	if !f.set() {
		return otherwise
	}
	const what = "a share such as 10% or 0.5%"
	got, ok := d.text(f, what)
	if !ok {
		return otherwise
	}
	number, percent := strings.CutSuffix(got, "%")
	if !isNumber(number) {
		d.expected(f, what)
		return otherwise
	}
	if !percent {
		d.invalid(f, "%s has no unit: write %s%%", got, got)
		return otherwise
	}
	whole, fraction, _ := strings.Cut(number, ".")
	n, err := strconv.Atoi(whole + (fraction + "0000")[:4])
	switch {
	case len(fraction) > 4:
		d.invalid(f, "%s has more than 4 digits behind the point", got)
	case err != nil || n < 1 || n > millionths:
		d.invalid(f, "%s is out of range, expected 0.0001%% to 100%%", got)
	default:
		return float64(n) / millionths
	}
	return otherwise
}

// formatShare writes v as a percentage.
func formatShare(v float64) string {
	n := int64(math.Round(v * millionths))
	s := fmt.Sprintf("%d.%04d", n/1e4, n%1e4)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".") + "%"
}
