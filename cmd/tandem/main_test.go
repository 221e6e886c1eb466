package main

import (
	"flag"
	"os"
	"slices"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes the test binary the program too: a node of a test runs this
// very binary, race detector included, and its children are that binary again.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.Contains([]string{"run", "agent", "worker", "status", "reload", "events", "doctor"}, os.Args[1]) {
		main()
		os.Exit(0)
	}
	// The tests of pairs wait far more than they compute; -parallel overrides this.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"tandem": main})
}

// TestCommandLine runs the transcripts of testdata/script.
func TestCommandLine(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
	})
}
