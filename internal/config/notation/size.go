package notation

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

// Size returns the number of bytes of f, which lies in low..high. When low is 0,
// a bare 0 stands for no limit.
func (d *Decoder) Size(f Field, otherwise, low, high int64) int64 {
	if !f.Set() {
		return otherwise
	}
	what := sizeForm
	if low == 0 {
		what += ", or 0 for no limit"
	}
	got, ok := d.Text(f, what)
	if !ok {
		return otherwise
	}
	n, err := parseSize(got)
	switch {
	case got == "0" && low == 0:
		return 0
	case got == "0":
		d.Invalid(f, "0 is out of range, expected %s to %s", FormatSize(low), FormatSize(high))
	case err != nil && IsNumber(got):
		d.Invalid(f, "%s has no unit: write %sB or %sKiB", got, got, got)
	case err != nil:
		d.Invalid(f, "expected %s, found %q%s", what, got, unitHint(got, ""))
	case n < low || n > high || n == 0:
		d.Invalid(f, "%s is out of range, expected %s to %s", got, FormatSize(max(low, 1)), FormatSize(high))
	default:
		return n
	}
	return otherwise
}

// Rate returns the number of bytes a second of f, which is at most high. A bare 0
// stands for no limit.
func (d *Decoder) Rate(f Field, otherwise, high int64) int64 {
	if !f.Set() {
		return otherwise
	}
	const what = "a rate such as 240B/s or 1KiB/s, or 0 for no limit"
	got, ok := d.Text(f, what)
	if !ok {
		return otherwise
	}
	size, perSecond := strings.CutSuffix(got, "/s")
	n, err := parseSize(size)
	switch {
	case got == "0":
		return 0
	case IsNumber(size):
		d.Invalid(f, "%s has no unit: write %sB/s or %sKiB/s", got, size, size)
	case err == nil && !perSecond:
		d.Invalid(f, "%s is a size, not a rate: write %s/s", got, got)
	case err != nil:
		d.Invalid(f, "expected %s, found %q%s", what, got, unitHint(size, "/s"))
	case n < 1 || n > high:
		d.Invalid(f, "%s is out of range, expected 1B/s to %s/s", got, FormatSize(high))
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
		n, ok := Decimal(digits, 0, math.MaxInt)
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
	if _, ok := Decimal(digits, 0, math.MaxInt); !ok {
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

// FormatSize writes n in the greatest unit that divides it; none is 0.
func FormatSize(n int64) string {
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

// FormatRate writes n bytes a second.
func FormatRate(n int64) string {
	if n == 0 {
		return "0"
	}
	return FormatSize(n) + "/s"
}

// millionths are what a share is counted in, so that it means the same after it
// was written out.
const millionths = 1e6

// LeastShare is the least share that is more than none.
const LeastShare = 1 / millionths

// Share returns the share of f, a percentage, which lies in low..1.
func (d *Decoder) Share(f Field, otherwise, low float64) float64 {
	if !f.Set() {
		return otherwise
	}
	const what = "a share such as 10% or 0.5%"
	got, ok := d.Text(f, what)
	if !ok {
		return otherwise
	}
	number, percent := strings.CutSuffix(got, "%")
	if !IsNumber(number) {
		d.Expected(f, what)
		return otherwise
	}
	if !percent {
		d.Invalid(f, "%s has no unit: write %s%%", got, got)
		return otherwise
	}
	whole, fraction, _ := strings.Cut(number, ".")
	n, err := strconv.Atoi(whole + (fraction + "0000")[:4])
	switch {
	case len(fraction) > 4:
		d.Invalid(f, "%s has more than 4 digits behind the point", got)
	case err != nil || float64(n) < low*millionths || n > millionths:
		d.Invalid(f, "%s is out of range, expected %s to 100%%", got, FormatShare(low))
	default:
		return float64(n) / millionths
	}
	return otherwise
}

// FormatShare writes v as a percentage.
func FormatShare(v float64) string {
	n := int64(math.Round(v * millionths))
	s := fmt.Sprintf("%d.%04d", n/1e4, n%1e4)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".") + "%"
}
