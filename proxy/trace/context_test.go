package trace

import (
	"fmt"
	"strings"
	"testing"
)

const (
	id   = "0af7651916cd43dd8448eb211c80319c"
	span = "b7ad6b7169203331"
)

// https://www.w3.org/TR/trace-context/#traceparent-header, and the cases that its test
// suite has.
func TestParse(t *testing.T) {
	good := "00-" + id + "-" + span + "-01"
	tests := []struct {
		name, value string
		want        string // how it is passed on; "" if it is invalid
	}{
		{"recorded", good, good},
		{"not recorded", "00-" + id + "-" + span + "-00", "00-" + id + "-" + span + "-00"},
		{"random", "00-" + id + "-" + span + "-03", "00-" + id + "-" + span + "-03"},
		{"unknown flags", "00-" + id + "-" + span + "-ff", "00-" + id + "-" + span + "-03"},
		{"unknown flags alone", "00-" + id + "-" + span + "-fc", "00-" + id + "-" + span + "-00"},

		{"empty", "", ""},
		{"no flags", "00-" + id + "-" + span, ""},
		{"no flags but their dash", "00-" + id + "-" + span + "-", ""},
		{"half of the flags", "00-" + id + "-" + span + "-1", ""},
		{"longer flags", "00-" + id + "-" + span + "-001", ""},
		{"more behind version 00", good + "-what", ""},
		{"a dash behind version 00", good + "-", ""},
		{"upper case in the trace", "00-" + strings.ToUpper(id) + "-" + span + "-01", ""},
		{"upper case in the span", "00-" + id + "-" + strings.ToUpper(span) + "-01", ""},
		{"upper case in the flags", "00-" + id + "-" + span + "-0A", ""},
		{"upper case in the version", "CC-" + id + "-" + span + "-01", ""},
		{"no digits in the trace", "00-" + id[:31] + ".-" + span + "-01", ""},
		{"no digits in the span", "00-" + id + "-" + span[:15] + "g-01", ""},
		{"no digits in the flags", "00-" + id + "-" + span + "-.0", ""},
		{"no digits in the version", ".0-" + id + "-" + span + "-01", ""},
		{"trace of zeros", "00-" + strings.Repeat("0", 32) + "-" + span + "-01", ""},
		{"span of zeros", "00-" + id + "-" + strings.Repeat("0", 16) + "-01", ""},
		{"longer trace", "00-" + id + "0-" + span + "-01", ""},
		{"shorter trace", "00-" + id[1:] + "-" + span + "-01", ""},
		{"longer span", "00-" + id + "-" + span + "0-01", ""},
		{"shorter span", "00-" + id + "-" + span[1:] + "-01", ""},
		{"longer version", "000-" + id + "-" + span + "-01", ""},
		{"shorter version", "0-" + id + "-" + span + "-01", ""},
		{"version ff", "ff-" + id + "-" + span + "-01", ""},
		{"spaces", "00 " + id + " " + span + " 01", ""},
		{"two of them in one", good + ", " + good, ""},

		{"later version", "cc-" + id + "-" + span + "-01", good},
		{"later version, other flags", "cc-" + id + "-" + span + "-02", "00-" + id + "-" + span + "-00"},
		{"later version with more", "cc-" + id + "-" + span + "-01-what-the-future-will-be-like", good},
		{"later version with a dash", "cc-" + id + "-" + span + "-01-", good},
		{"later version with something else", "cc-" + id + "-" + span + "-01.what", ""},
		{"later version, too short", "cc-" + id + "-" + span + "-0", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, ok := Parse([]byte(tt.value))
			got := ""
			if ok {
				got = string(c.Append(nil))
			}
			if got != tt.want || ok != c.Valid() {
				t.Errorf("Parse(%q) = %+v, %v, passed on as %q; want %q", tt.value, c, ok, got, tt.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"00-" + id + "-" + span + "-01", "cc-" + id + "-" + span + "-ff-more", "ff-" + id + "-" + span + "-00", "00-"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, ok := Parse(b)
		if !ok {
			if c != (Context{}) {
				t.Errorf("Parse(%q) leaves %+v", b, c)
			}
			return
		}
		out := c.Append([]byte("x"))
		again, ok := Parse(out[1:])
		if !ok || again != c || out[0] != 'x' {
			t.Errorf("Parse(%q) = %+v; that is written as %q, which is %+v, %v", b, c, out, again, ok)
		}
		// What names the trace passes as it came.
		if string(out[1+traceAt:1+flagsAt]) != string(b[traceAt:flagsAt]) {
			t.Errorf("%q is passed on as %q", b, out[1:])
		}
	})
}

// https://www.w3.org/TR/trace-context/#tracestate-header
func TestState(t *testing.T) {
	list := func(n int) string {
		var members []string
		for i := range n {
			members = append(members, fmt.Sprintf("k%d=%d", i, i))
		}
		return strings.Join(members, ",")
	}
	z := func(n int) string { return strings.Repeat("z", n) }
	tests := []struct {
		name  string
		lines []string
		want  bool
	}{
		{"one", []string{"foo=1"}, true},
		{"two", []string{"foo=1,bar=2"}, true},
		{"white space", []string{"foo=1 \t , \t bar=2, \t baz=3"}, true},
		{"over several fields", []string{"foo=1", "bar=2"}, true},
		{"empty", []string{""}, true},
		{"empty and not", []string{"foo=1", ""}, true},
		{"empty members", []string{"foo=1,", ",", "bar=2,,"}, true},
		{"all kinds of characters", []string{"a-z0_*/@a-z0_*/= !\"#$%&'()*+-./0:;<>?@A[\\]^_`a{|}~"}, true},
		{"tenant", []string{"t61rcwkgmze@rojo=1", "0@a=1"}, true},
		{"most members", []string{list(32)}, true},
		{"one too many", []string{list(33)}, false},
		{"one too many over two fields", []string{list(16), list(17)}, false},
		{"longest key", []string{z(256) + "=1"}, true},
		{"too long a key", []string{z(257) + "=1"}, false},
		{"longest tenant", []string{z(241) + "@" + z(14) + "=1"}, true},
		{"too long a tenant", []string{z(242) + "@v=1"}, false},
		{"too long a system", []string{"t@" + z(15) + "=1"}, false},
		{"longest value", []string{"a=" + z(256)}, true},
		{"too long a value", []string{"a=" + z(257)}, false},
		{"no value", []string{"foo="}, false},
		{"no equals sign", []string{"foo"}, false},
		{"no key", []string{"=1"}, false},
		{"two equals signs", []string{"foo=1=2"}, false},
		{"space in a key", []string{"foo =1"}, false},
		{"upper case", []string{"FOO=1"}, false},
		{"dot", []string{"foo.bar=1"}, false},
		{"digit at the beginning", []string{"0foo=1"}, false},
		{"no system", []string{"foo@=1"}, false},
		{"no tenant", []string{"@foo=1"}, false},
		{"digit at the beginning of the system", []string{"foo@0=1"}, false},
		{"two at signs", []string{"foo@bar@baz=1"}, false},
		{"semicolon between members", []string{"foo=1;bar=2"}, false},
		{"not ASCII", []string{"foo=ü"}, false},
		{"tab in a value", []string{"foo=a\tb"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s State
			got := true
			for _, line := range tt.lines {
				got = got && s.Take([]byte(line))
			}
			if got != tt.want {
				t.Errorf("%q: %v, want %v", tt.lines, got, tt.want)
			}
		})
	}
}

func FuzzState(f *testing.F) {
	f.Add("foo=1,bar@baz=2", " ,a=b")
	f.Fuzz(func(t *testing.T, a, b string) {
		var split, joined State
		apart := split.Take([]byte(a)) && split.Take([]byte(b))
		if together := joined.Take([]byte(a + "," + b)); apart != together {
			t.Errorf("%q and %q: %v in two fields, %v in one", a, b, apart, together)
		}
	})
}
