package roster

import (
	"strings"
	"testing"
)

func FuzzParseChange(f *testing.F) {
	f.Add("web/192.0.2.21:8080", "drain")
	f.Add("web/[2001:db8::1]:80", "weight=10")
	f.Add("/", "weight=")
	f.Add("web/a", "weight=-1")
	f.Fuzz(func(t *testing.T, target, verb string) {
		c, err := ParseChange(target, verb)
		if err != nil {
			return
		}
		if c.Pool+"/"+c.Server != target || c.valid() != nil || c.Pool == "" || c.Server == "" || strings.Contains(c.Pool, "/") {
			t.Errorf("%q %q: %+v", target, verb, c)
		}
	})
}
