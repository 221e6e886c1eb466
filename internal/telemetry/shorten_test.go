package telemetry

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
)

func TestLongLinesAreShortened(t *testing.T) {
	long := strings.Repeat("äb\n", 100)
	for name, tc := range map[string]struct {
		in    string
		limit int
		want  string
	}{
		"fits":         {`{"a":"b"}` + "\n", 10, `{"a":"b"}` + "\n"},
		"the longest":  {`{"a":"0123456789","b":"<0123456789012345>"}` + "\n", 40, `{"a":"0123456789","b":"<0123456789…"}` + "\n"},
		"a list":       {`{"a":1,"b":[1,2,3,4,5,6,7,8,9,0,1,2,3]}` + "\n", 30, `{"a":1,"b":"[1,2,3,4,5,6…"}` + "\n"},
		"no object":    {"panic: something\n", 10, "panic: something\n"},
		"half of one":  {`{"a":"bbbbbbbb` + "\n", 10, `{"a":"bbbbbbbb` + "\n"},
		"not possible": {`{"abcdefgh":"12345678"}` + "\n", 5, `{"abcdefgh":"…"}` + "\n"},
	} {
		if diff := cmp.Diff(tc.want, string(shorten([]byte(tc.in), tc.limit))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	line, err := json.Marshal(map[string]string{"msg": "m", "stack": long})
	if err != nil {
		t.Fatal(err)
	}
	got := shorten(append(line, '\n'), 200)
	if n := len(got); n > 200 || n < 180 {
		t.Errorf("%d bytes are left of %d, want about 200: %s", n, len(line), got)
	}
}

func FuzzShorten(f *testing.F) {
	f.Add("a", "\x00\x01\x02\xff", 20)
	f.Add(strings.Repeat("x", 200), strings.Repeat("\u2028\"", 200), 100)
	f.Fuzz(func(t *testing.T, a, b string, limit int) {
		limit = 64 + limit&0xfff
		line, err := json.Marshal(struct {
			A, B string
			C    any
		}{a, b, []string{a, b}})
		if err != nil {
			t.Fatal(err)
		}
		got := shorten(append(line, '\n'), limit)
		if len(got) > limit {
			t.Errorf("%d bytes, want at most %d: %s", len(got), limit, got)
		}
		var m map[string]any
		if err := json.Unmarshal(got, &m); err != nil || len(m) != 3 || !bytes.HasSuffix(got, []byte("}\n")) {
			t.Errorf("%v: %s", err, got)
		}
	})
}

func TestLogWritesNoLineThatAPipeWouldSplit(t *testing.T) {
	var out bytes.Buffer
	log, err := NewLogger(&out, "info", "worker")
	if err != nil {
		t.Fatal(err)
	}
	log.Error("handler panicked", zap.ByteString("stack", bytes.Repeat([]byte("main.f(0x1, 0x2)\n\t/x/y.go:1\n"), 1000)))
	log.Close()
	var m map[string]any
	if err := json.Unmarshal(out.Bytes(), &m); err != nil || out.Len() > atomicWrite || out.Len() < atomicWrite-200 {
		t.Errorf("%d bytes, %v: %.100s", out.Len(), err, out.String())
	}
}
