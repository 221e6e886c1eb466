package telemetry

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pieces keeps what is written at once.
type pieces struct{ all []string }

func (p *pieces) Write(b []byte) (int, error) {
	p.all = append(p.all, string(b))
	return len(b), nil
}

func TestLinesAreWrittenWhole(t *testing.T) {
	line := func(n int) string { return strings.Repeat("x", n-1) + "\n" }
	for name, tc := range map[string]struct{ in, want []string }{
		"few":              {[]string{line(10), line(20)}, []string{line(10) + line(20)}},
		"more than fit":    {[]string{line(3000), line(1000), line(200), line(4096)}, []string{line(3000) + line(1000), line(200), line(4096)}},
		"one that is long": {[]string{line(10), line(5000), line(10)}, []string{line(10), line(5000), line(10)}},
		"without an end":   {[]string{strings.Repeat("x", 5000)}, []string{strings.Repeat("x", 5000)}},
		"nothing":          {nil, nil},
	} {
		p := &pieces{}
		text := strings.Join(tc.in, "")
		if n, err := Lines(p).Write([]byte(text)); n != len(text) || err != nil {
			t.Errorf("%s: wrote %d, %v; want %d", name, n, err, len(text))
		}
		if diff := cmp.Diff(tc.want, p.all); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
