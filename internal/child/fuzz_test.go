package child

import (
	"strings"
	"testing"
)

// FuzzWords takes what a child writes, cut anywhere: nothing is lost but the ends of
// parts, and no part is too long.
func FuzzWords(f *testing.F) {
	f.Add("panic: oops\n", "goroutine 1 [running]:\n")
	f.Add(strings.Repeat("x", partSize), "\n")
	f.Add("fatal", " error: all goroutines are asleep\n\n\n")
	f.Fuzz(func(t *testing.T, first, second string) {
		var w words
		var got []string
		for i, text := range []string{first, second, ""} {
			for _, p := range w.take([]byte(text), i < 2) {
				if len(p.text) > partSize || p.number != len(got)+1 {
					t.Errorf("part %d of %d bytes after %d", p.number, len(p.text), len(got))
				}
				got = append(got, p.text)
			}
		}
		without := func(s string) string { return strings.ReplaceAll(s, "\n", "") }
		if without(strings.Join(got, "")) != without(first+second) {
			t.Errorf("%q and %q became %q", first, second, got)
		}
	})
}
