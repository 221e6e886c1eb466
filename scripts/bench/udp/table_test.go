package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTable(t *testing.T) {
	m := func(scenario, system string, answered int, cpu time.Duration) measurement {
		return measurement{scenario, system, cpu, moved{1000, answered, time.Second}}
	}
	got := table([]measurement{
		m("few", "nginx", 800, 8*time.Millisecond), m("few", "nginx", 1000, 10*time.Millisecond), m("few", "nginx", 900, 9*time.Millisecond),
		m("few", "tandem", 900, 3600*time.Microsecond),
		m("many", "nginx", 1000, time.Millisecond), m("many", "tandem", 990, time.Millisecond),
		m("alone", "tandem", 990, time.Millisecond),
	}, []scenario{{name: "few"}, {name: "many"}, {name: "alone"}}, []string{"nginx", "tandem"})
	want := `scenario   figure                          nginx   tandem   tandem/nginx     target
────────   ─────────────   ─────────────────────   ──────   ────────────   ────────   ──────
few        packets/s            1800 [1600-2000]     1800          1.00x   >= 1.00x      met
           CPU us/packet                    5.00     2.00          0.40x
           lost %          10.000 [0.000-20.000]   10.000
many       packets/s                        2000     1980          0.99x   >= 1.00x   MISSED
           CPU us/packet                    0.50     0.51          1.01x
           lost %                          0.000    1.000
alone      packets/s                           -     1980                  >= 1.00x
           CPU us/packet                       -     0.51
           lost %                              -    1.000
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestChoose(t *testing.T) {
	good := options{rounds: 1, seconds: 1, systems: "nginx,tandem", only: "clients?$"}
	what, names, err := good.choose()
	if err != nil || len(what) != 3 || len(names) != 2 {
		t.Errorf("%d scenarios, %q, %v", len(what), names, err)
	}
	for _, o := range []options{
		{rounds: 0, seconds: 1, systems: "nginx"},
		{rounds: 1, seconds: 601, systems: "nginx"},
		{rounds: 1, seconds: 1, systems: "haproxy"},
		{rounds: 1, seconds: 1, systems: "nginx", only: "none"},
		{rounds: 1, seconds: 1, systems: "nginx", only: "("},
	} {
		if _, _, err := o.choose(); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}
