package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseStat(t *testing.T) {
	const rest = " S 7 42 42 0 -1 4194560 100 0 0 0 123 45 6 7 20 0 5 0 98765 1000 20 18446744073709551615"
	want := stat{state: 'S', parent: 7, user: 1230 * time.Millisecond, system: 450 * time.Millisecond, began: 98765}
	for name, text := range map[string]string{
		"plain":                              "42 (sh)" + rest,
		"spaces and parentheses in the name": "42 (a) b (c))" + rest,
		"a name like fields":                 "42 (x) R 1 2 3)" + rest,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseStat([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(stat{})); diff != "" {
				t.Errorf("stat (-want +got):\n%s", diff)
			}
		})
	}
	for name, text := range map[string]string{
		"empty":      "",
		"cut short":  "42 (sh) S 7 42 42 0 -1 4194560 100",
		"no number":  "42 (sh)" + strings.Replace(rest, "123", "x", 1),
		"below zero": "42 (sh)" + strings.Replace(rest, " 45 ", " -45 ", 1),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := parseStat([]byte(text)); err == nil {
				t.Errorf("got %v, want an error", got)
			}
		})
	}
}

func TestOwnUsageIsSeen(t *testing.T) {
	u, err := used([]int{os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	if u.total <= 0 {
		t.Errorf("got CPU time %v, want some", u.total)
	}
	if _, err := used([]int{-1}); err == nil {
		t.Error("no error for a process that cannot be")
	}
}

func TestStopEndsTheWholeFamily(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "child")
	// The parent ends when it is asked to; its child is deaf to that.
	script := `sh -c 'trap "" TERM; echo $$ >"$0.new"; mv "$0.new" "$0"; while :; do sleep 1; done' "$0" & wait`
	p, err := launch(exec.Command("sh", "-c", script, file), filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	tree := waitFamily(t, p.pid(), file)
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	for _, m := range tree {
		// A killed orphan is dead before it is gone.
		for deadline := time.Now().Add(5 * time.Second); m.lives(); {
			if time.Now().After(deadline) {
				t.Fatalf("process %d lives on", m.pid)
			}
			runtime.Gosched()
		}
	}
}

// waitFamily waits until the child has written the file, and returns the family.
func waitFamily(t *testing.T, pid int, file string) []member {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; runtime.Gosched() {
		if _, err := os.Stat(file); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the child has not started")
		}
	}
	tree, err := family(pid)
	if err != nil {
		t.Fatal(err)
	}
	if len(tree) < 2 {
		t.Fatalf("got family %v, want the child in it", tree)
	}
	return tree
}

func TestReadyTellsWhyNot(t *testing.T) {
	dir := t.TempDir()
	s := site{dir: dir, listen: "127.0.0.1:1"}
	p, err := launch(exec.Command("sh", "-c", "echo no such option; exit 1"), s.path("log"))
	if err != nil {
		t.Fatal(err)
	}
	err = ready(t.Context(), s, p)
	if err == nil || !strings.Contains(err.Error(), "it ended at once: no such option") {
		t.Errorf("got %v, want the end of the log", err)
	}
}
