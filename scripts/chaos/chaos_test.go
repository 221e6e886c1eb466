package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/lab/labtest"
	"github.com/tandemlb/tandem/scripts/chaos/plan"
)

// The stage starts its program, here the test, as clients and as hogs.
func TestMain(m *testing.M) {
	for _, as := range []string{"-clients", "-echo", "-hog", "-limit", "-ordinary"} {
		if slices.Contains(os.Args[1:], as) {
			main()
			return
		}
	}
	os.Exit(m.Run())
}

// TestAShortRun does a few faults to a real pair.
func TestAShortRun(t *testing.T) {
	labtest.New(t) // or there is none for the run either
	binary := filepath.Join(t.TempDir(), "tandem")
	build := exec.Command("go", "build", "-trimpath", "-o", binary, "../../cmd/tandem") // as make does: all but the linking is cached
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build tandem: %v\n%s", err, out)
	}
	out := t.TempDir()
	if err := run(t.Context(), []string{"-duration", "22s", "-seed", "47", "-out", out, "-tandem", binary}); err != nil {
		t.Error(err)
		for _, name := range []string{"lb1.log", "lb2.log"} {
			text, _ := os.ReadFile(filepath.Join(out, name))
			t.Logf("%s ends with\n%s", name, text[max(0, len(text)-8000):])
		}
	}
	for _, name := range []string{"report.md", "timeline.svg", "lb1.log", "lb2.log"} {
		if info, err := os.Stat(filepath.Join(out, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCommandLine(t *testing.T) {
	for _, args := range [][]string{{"-only", "nonsense", "-plan"}, {"-duration", "x"}, {"more"}, {"-clients", "x"}} {
		if err := run(t.Context(), args); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
	if err := run(t.Context(), []string{"-plan", "-seed", "3", "-duration", "1m"}); err != nil {
		t.Error(err)
	}
	f, err := parse([]string{"-seed", "9", "-only", "kill, reload", "-duration", "20m"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.schedule()
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range p.Faults() {
		if fault.Kind != plan.Kill && fault.Kind != plan.Reload {
			t.Errorf("%v is in the plan", fault)
		}
	}
	if f.out != "chaos-9" || p.Length != 20*time.Minute || len(p.Episodes) == 0 {
		t.Errorf("report in %q, length %v, %d episodes", f.out, p.Length, len(p.Episodes))
	}
}
