package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/lab/probe"
)

func TestOutagesArePrinted(t *testing.T) {
	var out strings.Builder
	w := &outageWriter{out: &out, every: 10 * time.Millisecond}
	began := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, line := range []string{
		string(probe.AppendHeader(nil, began)),
		"20000 0+s1 10000+s2\n",
		"50000 20000-refused 30000-timeout\n",
		"70000 40000-timeout 50000+s1 50000-reset 50000+s2 60000+s2\n",
		"2000000 70000-timeout\n", // and for almost two seconds nothing
		"2500000 2100000-reset\n",
		"3100000 2600000-reset\n",
	} {
		if n, err := w.Write([]byte(line)); err != nil || n != len(line) {
			t.Fatalf("%q: %d, %v", line, n, err)
		}
	}
	if err := w.end(); err != nil {
		t.Fatal(err)
	}
	want := `03:04:05.010  no answer for 40ms: 3 failed (refused 1, timeout 2)
03:04:05.060  still no answer, for 1.94s: 1 failed (timeout 1)
03:04:05.060  still no answer, for 3.04s: 3 failed (reset 2, timeout 1)
12 requests, 7 failed, longest outage 3.04s
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, err := w.Write([]byte("nonsense\n")); err == nil {
		t.Error("nonsense is taken")
	}
}

func TestProbeRefusesNonsense(t *testing.T) {
	for _, c := range []probeCmd{{Target: "lb1", Every: time.Millisecond}, {Target: "192.0.2.1:80", Every: time.Microsecond}, {Target: "192.0.2.1:80", Every: time.Minute}} {
		if err := c.Run(t.Context(), output{}); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}
