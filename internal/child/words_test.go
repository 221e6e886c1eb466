package child

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/telemetry"
)

func TestWordsAreTakenInParts(t *testing.T) {
	line := strings.Repeat("x", 999) + "\n"
	for name, tc := range map[string]struct {
		in   []string // as it comes; the last is all there is
		want []part
	}{
		"nothing":        {[]string{""}, nil},
		"a warning":      {[]string{"half", " a line\n"}, []part{{number: 1, text: "half a line"}}},
		"a crash":        {[]string{"runtime: bad\nfatal error: oops\n"}, []part{{crash: true, free: true, number: 1, text: "runtime: bad\nfatal error: oops"}}},
		"a panic":        {[]string{"panic: oops [recovered]\n"}, []part{{crash: true, free: true, number: 1, text: "panic: oops [recovered]"}}},
		"a signal":       {[]string{"SIGABRT: abort\nPC=0x1\n"}, []part{{crash: true, free: true, number: 1, text: "SIGABRT: abort\nPC=0x1"}}},
		"no crash":       {[]string{"a panic: no\n"}, []part{{number: 1, text: "a panic: no"}}},
		"without a line": {[]string{strings.Repeat("y", partSize+1)}, []part{{number: 1, text: strings.Repeat("y", partSize)}, {number: 2, text: "y"}}},
		"more than one": {
			[]string{"panic: oops\n" + line, line + line, line},
			[]part{
				{crash: true, free: true, number: 1, text: "panic: oops\n" + line + line[:999]},
				{crash: true, free: true, number: 2, text: line + line[:999]},
			},
		},
	} {
		var w words
		var got []part
		for i, text := range tc.in {
			got = append(got, w.take([]byte(text), i < len(tc.in)-1)...)
		}
		if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(part{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A child that lives on, and says something, is heard.
func TestStandardErrorIsTold(t *testing.T) {
	theirs, s, err := pipeStderr()
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan string, 2)
	core, _ := observer.New(zap.InfoLevel)
	log := zap.New(core, zap.Hooks(func(e zapcore.Entry) error { told <- e.Message; return nil }))
	go s.read(log)
	theirs.WriteString("WARNING: something\n")
	if got := <-told; got != "written to standard error" {
		t.Errorf("told %q", got)
	}
	theirs.WriteString("panic: oops")
	theirs.Close()
	s.end()
	if got := <-told; got != "crashed" {
		t.Errorf("told %q", got)
	}
}

// A child that writes on and on does not flood the log: all but the beginning of a trace
// is held back where it comes too often.
func TestWhatAChildWritesIsBounded(t *testing.T) {
	always := telemetry.Always()
	for name, tc := range map[string]struct {
		line string
		want int
	}{
		"warnings":               {"WARNING: again\n", 0},
		"a trace without an end": {"fatal error: again\n", maxTrace},
	} {
		theirs, s, err := pipeStderr()
		if err != nil {
			t.Fatal(err)
		}
		core, told := observer.New(zap.InfoLevel)
		go s.read(zap.New(core))
		block := []byte(strings.Repeat(tc.line, partSize/len(tc.line)+1))
		for range 2 * maxTrace {
			if _, err := theirs.Write(block); err != nil {
				t.Fatal(err)
			}
		}
		theirs.Close()
		s.end()
		free := 0
		for _, e := range told.All() {
			if slices.ContainsFunc(e.Context, always.Equals) {
				free++
			}
		}
		if all := told.Len(); free != tc.want || all < 2*maxTrace {
			t.Errorf("%s: %d of %d lines are free of the bound, want %d", name, free, all, tc.want)
		}
	}
}

// Whoever has the other end of a dead child is not waited for.
func TestStandardErrorThatDoesNotEnd(t *testing.T) {
	theirs, s, err := pipeStderr()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	go s.read(zap.NewNop())
	s.end()
	if _, err := theirs.WriteString("too late"); err == nil {
		t.Error("it is still read")
	}
}

// A full pipe does not hold up a child that crashes.
func TestCrashDoesNotWaitForItsReader(t *testing.T) {
	theirs, s, err := pipeStderr()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	defer s.r.Close()
	fd := int(theirs.Fd())
	if err := neverWait(theirs); err != nil {
		t.Fatal(err)
	}
	lost := false
	for range 100 {
		if _, err := unix.Write(fd, make([]byte, 4096)); err != nil {
			lost = true
			break
		}
	}
	if !lost {
		t.Error("a pipe took 400 KiB")
	}
}
