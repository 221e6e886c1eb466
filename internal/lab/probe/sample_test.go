package probe

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const ms = time.Millisecond

func TestBatchRoundTrip(t *testing.T) {
	for _, test := range []struct {
		name  string
		batch Batch
		line  string
	}{
		{"nothing yet", Batch{}, "0\n"},
		{"settled only", Batch{Settled: 1500 * time.Microsecond}, "1500\n"},
		{"answered", Batch{Settled: ms, Samples: []Sample{{Start: ms / 2, Server: "s1"}}}, "1000 500+s1\n"},
		{"failed", Batch{Settled: ms, Samples: []Sample{{Start: 0, Failure: Refused}}}, "1000 0-refused\n"},
		{"out of order", Batch{
			Settled: 2 * time.Hour,
			Samples: []Sample{{Start: 7 * ms, Server: "a_B.9"}, {Start: 5 * ms, Failure: Timeout}},
		}, "7200000000 7000+a_B.9 5000-timeout\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.line, string(AppendBatch(nil, test.batch))); diff != "" {
				t.Errorf("line (-want +got):\n%s", diff)
			}
			got, err := ParseBatch([]byte(test.line))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.batch, got); diff != "" {
				t.Errorf("batch (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseBatchRefuses(t *testing.T) {
	for _, test := range []struct{ name, line, want string }{
		{"empty", "", `settled time: strconv.ParseUint: parsing ""`},
		{"negative time", "-1", "settled time"},
		{"time beyond all bounds", "99999999999999999999", "value out of range"},
		{"two spaces", "1  2+a", `sample "": neither + nor -`},
		{"no mark", "1 2a", `sample "2a": neither + nor -`},
		{"no start", "1 +a", `sample "+a": strconv.ParseUint`},
		{"no name", "1 2+", `sample "2+": invalid name ""`},
		{"a name that is none", "1 2+a/b", `invalid name "a/b"`},
		{"a long name", "1 2+" + strings.Repeat("a", 33), "invalid name"},
		{"line feed within", "1\n2", "settled time"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, err := ParseBatch([]byte(test.line))
			if err == nil {
				t.Fatalf("accepted as %v", b)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q, want it to contain %q", err, test.want)
			}
		})
	}
}

func FuzzParseBatch(f *testing.F) {
	f.Add([]byte("1000 500+s1 0-refused\n"))
	f.Add([]byte("0"))
	f.Add([]byte("1 2+a-b"))
	f.Fuzz(func(t *testing.T, line []byte) {
		first, err := ParseBatch(line)
		if err != nil {
			return
		}
		second, err := ParseBatch(AppendBatch(nil, first))
		if err != nil {
			t.Fatalf("what was parsed from %q is refused: %v", line, err)
		}
		if diff := cmp.Diff(first, second); diff != "" {
			t.Fatalf("parse, append, parse of %q (-first +second):\n%s", line, diff)
		}
	})
}

func TestHeaderRoundTrip(t *testing.T) {
	want := time.UnixMicro(1_700_000_000_123_456)
	line := AppendHeader(nil, want)
	got, err := ParseHeader(line[:len(line)-1])
	if err != nil || !got.Equal(want) {
		t.Errorf("parsed %v, %v; want %v", got, err, want)
	}
	for _, bad := range []string{"", "x", "-5", "1.5"} {
		if got, err := ParseHeader([]byte(bad)); err == nil {
			t.Errorf("header %q accepted as %v", bad, got)
		}
	}
}
