package demo

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/config"
	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/internal/lab/faulty"
	"github.com/tandemlb/tandem/internal/lab/report"
)

func TestEveryFaultIsShown(t *testing.T) {
	shown := map[faulty.Kind]bool{faulty.OpenChunks: true} // to a client, as bad chunks are
	for _, f := range faultsShown() {
		shown[f.Kind] = true
	}
	for _, k := range faulty.Kinds() {
		if !shown[k] {
			t.Errorf("%q is not", k)
		}
	}
}

func TestFaultOutcomes(t *testing.T) {
	begin := time.Unix(1000, 0)
	at := func(ms int, server string, retries int) access {
		return access{Time: begin.Add(time.Duration(ms) * time.Millisecond), Server: server, Retries: retries}
	}
	const good = "10.77.0.11:80"
	for _, test := range []struct {
		name    string
		logged  []access
		retries int
		out     time.Duration
	}{
		{"met none", []access{at(5, good, 0)}, 0, time.Millisecond},
		{"met some", []access{at(1, badAddress(), 0), at(7, badAddress(), 0), at(9, good, 0)}, 0, 7 * time.Millisecond},
		{"hidden by retries", []access{at(1, good, 1), at(30, good, 2), at(40, good, 0)}, 3, 30 * time.Millisecond},
		{"met some before", []access{at(-5, badAddress(), 0)}, 0, time.Millisecond},
		{"met some to the end", []access{at(1, badAddress(), 0), at(1900, badAddress(), 0)}, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got faultOutcome
			got.judge(test.logged, begin, begin.Add(2*time.Second))
			want := faultOutcome{retries: test.retries, out: test.out}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(faultOutcome{})); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFaultReactions(t *testing.T) {
	with := func(address, health string) *admin.Status {
		return &admin.Status{Pools: []admin.Pool{{Servers: []admin.Server{
			{Address: netip.MustParseAddrPort(address), Health: health, Reason: "because"},
		}}}}
	}
	for _, test := range []struct {
		name   string
		status *admin.Status
		out    bool
		want   []string
	}{
		{"down", with(badAddress(), "down"), true, []string{"found it down", "because"}},
		{"another is down", with("10.77.0.11:80", "down"), false, []string{"kept it", ""}},
		{"up and out", with(badAddress(), "up"), true, []string{"set it aside by its traffic", ""}},
		{"no answer", nil, false, []string{"kept it", ""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			did, why := faultReaction(test.status, test.out)
			if diff := cmp.Diff(test.want, []string{did, why}); diff != "" {
				t.Errorf("reaction (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFaultsTable(t *testing.T) {
	got := faultsTable([]faultOutcome{
		{fault: faulty.Fault{Kind: faulty.Refuse}, requests: 2000, retries: 2, did: "found it down", out: 12 * time.Millisecond},
		{fault: faulty.Fault{Kind: faulty.Double}, requests: 2001, failed: 3, did: "kept it"},
	})
	want := `fault of s2   Tandem          requests   failed   retries   out after ms
───────────   ─────────────   ────────   ──────   ───────   ────────────
refuse        found it down       2000        0         2             12
double        kept it             2001        3         0              -
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestConfigsOfTheDemoAreGood(t *testing.T) {
	for name, p := range map[string]*plot{
		"one": onePlot(100 * time.Millisecond), "two": twoPlot(10 * time.Millisecond), "faults": faultsPlot(100*time.Millisecond, 3),
	} {
		if _, err := config.Parse("tandem.yaml", []byte(p.config)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAccessLogIsReadAsItGrows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	write := func(text string) {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	line := func(second int) string {
		return fmt.Sprintf(`{"time":"2026-01-01T00:00:%02d.000Z","client":"10.0.0.1","server":"a:80","retries":1}`+"\n", second)
	}
	at := func(second int) time.Time { return time.Date(2026, 1, 1, 0, 0, second, 0, time.UTC) }
	write(line(0) + `{"level":"info","msg":"starting"}` + "\n" + line(1)[:30])
	log := &accessLog{path: path}
	first, err := log.next()
	if err != nil || len(first) != 1 || !first[0].Time.Equal(at(0)) {
		t.Fatalf("read %v, %v, want the one whole line", first, err)
	}
	write(line(1)[30:] + line(2) + line(3))
	got, err := log.between(t.Context(), at(1), at(3))
	if err != nil {
		t.Fatal(err)
	}
	want := []access{{at(1), "10.0.0.1", "a:80", 1}, {at(2), "10.0.0.1", "a:80", 1}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := log.between(ctx, at(3), at(4)); err == nil {
		t.Error("what is not logged yet is not waited for")
	}
	if _, err := (&accessLog{path: path + "x"}).next(); err == nil || !strings.Contains(err.Error(), "access log") {
		t.Errorf("error %v, want one about the access log", err)
	}
}

func TestFaultsAreShownOnce(t *testing.T) {
	for _, c := range []Options{{Rounds: 2, Faults: true}, {Rounds: 1, Faults: true, ActiveActive: true}} {
		if err := c.Run(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), "--faults") {
			t.Errorf("error %v, want a refusal", err)
		}
	}
}

func TestDemoTableOfTwo(t *testing.T) {
	one := rowsOf([]failover.Outcome{happened("killed", 4*time.Millisecond, 3)})
	two := rowsOf([]failover.Outcome{happened("killed", 1*time.Millisecond, 0)})
	want := `event    VIP one     outage ms   failed     VIP two   outage ms   failed
──────   ─────────   ─────────   ──────   ─────────   ─────────   ──────
killed   lb1 → lb2           4        3   lb1 → lb2           1        0
`
	if diff := cmp.Diff(want, table([]string{"one", "two"}, [][]report.Row{one, two})); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}
