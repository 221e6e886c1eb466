package main

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTable(t *testing.T) {
	what := []scenario{
		{name: "few", targets: []target{{figure: cpuFigure, limit: 0.85}, {figure: rateFigure, limit: 1.05, atLeast: true}}},
		{name: "idle", targets: []target{{figure: memoryFigure, limit: 1024, alone: true}}},
		{name: "never run", targets: []target{{figure: cpuFigure, limit: 1}}},
	}
	request := func(system string, cpu, rate float64, errors int) measurement {
		return measurement{Scenario: "few", System: system, CPU: cpu, Rate: rate, Errors: errors}
	}
	got := table([]measurement{
		request("haproxy", 10, 1000, 0), request("haproxy", 12, 1200, 0), request("haproxy", 11, 900, 0),
		request("nginx", 8, 0, 0),
		request("tandem", 9, 1040, 0), request("tandem", 9.35, 1040, 2), request("tandem", 9.5, 1040, 0),
		{Scenario: "idle", System: "tandem", Memory: 1025},
	}, what, []string{"haproxy", "nginx", "tandem"})
	want := `scenario   figure                         haproxy   nginx             tandem   tandem/haproxy   tandem/nginx     target
────────   ────────────────   ───────────────────   ─────   ────────────────   ──────────────   ────────────   ────────   ────────────────
few        CPU us/request     11.00 [10.00-12.00]    8.00   9.35 [9.00-9.50]            0.85x          1.17x   <= 0.85x   met, WITH ERRORS
           requests/s             1000 [900-1200]       0               1040            1.04x              -   >= 1.05x             MISSED
           errors                               0       0            0 [0-2]
idle       bytes/connection                     -       -               1025                -              -    <= 1024             MISSED
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestTablesForEachSetOfSystems(t *testing.T) {
	what := []scenario{{name: "a"}, {name: "b"}, {name: "c"}, {name: "never run"}}
	m := func(scenario, system string) measurement {
		return measurement{Scenario: scenario, System: system, P50: 1}
	}
	got := tables([]measurement{m("a", "haproxy"), m("a", "tandem"), m("b", "tandem"), m("c", "haproxy"), m("c", "tandem")},
		what, []string{"haproxy", "nginx", "tandem"})
	want := `
scenario   figure   haproxy   tandem   tandem/haproxy   target
────────   ──────   ───────   ──────   ──────────────   ──────
a          p50 us         1        1            1.00x
c          p50 us         1        1            1.00x

scenario   figure   tandem   target
────────   ──────   ──────   ──────
b          p50 us        1
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tables (-want +got):\n%s", diff)
	}
}

func TestVerdict(t *testing.T) {
	ratio := scenario{targets: []target{{figure: cpuFigure, limit: 0.85}}}
	for _, test := range []struct {
		name    string
		sc      scenario
		figure  string
		medians map[string]float64
		want    []string
	}{
		{"better than the limit", ratio, cpuFigure, map[string]float64{"tandem": 8, "haproxy": 10}, []string{"<= 0.85x", "met"}},
		{"at the limit", ratio, cpuFigure, map[string]float64{"tandem": 85, "haproxy": 100}, []string{"<= 0.85x", "met"}},
		{"beyond the limit", ratio, cpuFigure, map[string]float64{"tandem": 86, "haproxy": 100}, []string{"<= 0.85x", "MISSED"}},
		{"nothing to compare with", ratio, cpuFigure, map[string]float64{"tandem": 8, "nginx": 10}, []string{"<= 0.85x", "-"}},
		{"no figure of ours", ratio, cpuFigure, map[string]float64{"haproxy": 8}, []string{"<= 0.85x", "-"}},
		{
			"another to compare with", scenario{targets: []target{{figure: cpuFigure, limit: 1, against: "haproxy-always"}}}, cpuFigure,
			map[string]float64{"tandem": 8, "haproxy": 10, "haproxy-always": 7}, []string{"<= 1.00x", "MISSED"},
		},
		{"no target", ratio, p99Figure, map[string]float64{"tandem": 8, "haproxy": 10}, []string{"", ""}},
		{
			"a limit of its own", scenario{targets: []target{{figure: memoryFigure, limit: 1024, alone: true}}}, memoryFigure,
			map[string]float64{"tandem": 1024, "haproxy": 1}, []string{"<= 1024", "met"},
		},
		{
			"at least", scenario{targets: []target{{figure: rateFigure, limit: 1.05, atLeast: true}}}, rateFigure,
			map[string]float64{"tandem": 1.05, "haproxy": 1}, []string{">= 1.05x", "met"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, verdict(test.sc, test.figure, test.medians)); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPairsAreOfEqualThreads(t *testing.T) {
	got := pairs([]string{"haproxy", "haproxy-2", "tandem", "tandem-2"})
	want := []pair{{"tandem", "haproxy"}, {"tandem-2", "haproxy-2"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(pair{})); diff != "" {
		t.Errorf("pairs (-want +got):\n%s", diff)
	}
}

func TestEveryTargetIsOfAFigure(t *testing.T) {
	known := map[string]bool{}
	for _, f := range rows() {
		known[f.name] = true
	}
	for _, s := range scenarios() {
		if len(s.targets) == 0 {
			t.Errorf("%s has no target", s.name)
		}
		for _, target := range s.targets {
			if !known[target.figure] {
				t.Errorf("%s: the table has no figure %q", s.name, target.figure)
			}
		}
	}
}

func TestEveryJudgeIsMeasured(t *testing.T) {
	all := systems(&tandem{})
	for _, sc := range scenarios() {
		for _, target := range sc.targets {
			for _, name := range []string{target.judged().ours, target.judged().theirs} {
				at := slices.IndexFunc(all, func(s system) bool { return s.name == name })
				if at < 0 || !all[at].in(sc.name) {
					t.Errorf("%s: %q is not measured", sc.name, name)
				}
			}
		}
	}
}

func TestBrief(t *testing.T) {
	for _, test := range []struct {
		name string
		m    measurement
		want string
	}{
		{
			"requests", measurement{Scenario: "few", System: "nginx", CPU: 9.876, Rate: 1234.5, P99: 77},
			"few with nginx: CPU us/request 9.88, requests/s 1234, p99 us 77",
		},
		{"memory", measurement{Scenario: "idle", System: "tandem", Memory: 512}, "idle with tandem: bytes/connection 512"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := brief(test.m); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
