package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTable(t *testing.T) {
	m := func(system, event string, outage float64, failed int) measurement {
		return measurement{System: system, Advertise: 100, Event: event, Outage: outage, Failed: failed}
	}
	want := `event               advertise ms   keepalived outage ms   tandem outage ms   ratio   keepalived failed   tandem failed   ratio
─────────────────   ────────────   ────────────────────   ────────────────   ─────   ─────────────────   ─────────────   ─────
everything killed            100          320 [300-365]                160    2.0x       310 [300-350]             155    2.0x
started again                100                      -                  3       -                   -               0       -
link cut                     100                    311                  -       -                 311               -       -
link healed                  100                      -                  -       -                   -               -       -
SIGTERM                      100                     64                  4   16.0x                  60               0       -
`
	got := table([]measurement{
		m("keepalived", killed, 300, 300), m("keepalived", killed, 365, 350), m("keepalived", killed, 320, 310),
		m("tandem", killed, 160, 155), m("tandem", returned, 3, 0),
		m("keepalived", cut, 311, 311),
		m("keepalived", stopped, 64, 60), m("tandem", stopped, 4, 0),
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestRestTable(t *testing.T) {
	m := func(system, event string, cpu float64) measurement {
		return measurement{System: system, Advertise: 10, Event: event, CPU: cpu}
	}
	want := `at rest                        advertise ms   keepalived % of a core   tandem % of a core
────────────────────────────   ────────────   ──────────────────────   ──────────────────
heartbeat of the active node             10         0.50 [0.40-0.60]                 0.72
heartbeat of the standby                 10                        -                 0.60
`
	got := restTable([]measurement{
		m("keepalived", activeAtRest, 0.4), m("keepalived", activeAtRest, 0.5), m("keepalived", activeAtRest, 0.6),
		m("tandem", activeAtRest, 0.72), m("tandem", backupAtRest, 0.6),
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestBrief(t *testing.T) {
	got := brief([]measurement{{Event: backupAtRest, CPU: 0.456}, {Event: cut, Outage: 12.4, Failed: 11}, {Event: stopped, Outage: 2}})
	if want := "heartbeat of the standby 0.46 %; link cut 12 ms, 11 failed; SIGTERM 2 ms, 0 failed"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := brief(nil), "nothing measured"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestParseIntervals(t *testing.T) {
	got, err := parseIntervals("100ms,10ms,1s")
	if err != nil {
		t.Fatal(err)
	}
	want := []time.Duration{100 * time.Millisecond, 10 * time.Millisecond, time.Second}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("intervals (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "100", "9ms", "2s", "100ms,", "-100ms"} {
		if got, err := parseIntervals(bad); err == nil || !strings.Contains(err.Error(), "want durations from 10ms to 1s") {
			t.Errorf("%q: got %v, %v; want an error", bad, got, err)
		}
	}
}

func TestKeepalivedConfigHasFractions(t *testing.T) {
	for interval, want := range map[time.Duration]string{
		10 * time.Millisecond:  "advert_int 0.01\n",
		100 * time.Millisecond: "advert_int 0.1\n",
		time.Second:            "advert_int 1\n",
	} {
		if got := keepalivedConfig("lb1", 200, interval); !strings.Contains(got, want) {
			t.Errorf("%s: no %q in:\n%s", interval, want, got)
		}
	}
}
