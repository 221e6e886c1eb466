package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
)

// limitedLog returns a log, and what closes it and returns its lines in short: the
// message with the fields that are named.
func limitedLog(t *testing.T, level string, fields ...string) (*Logger, func() []string) {
	t.Helper()
	var out bytes.Buffer
	log, err := NewLogger(&out, level, "worker")
	if err != nil {
		t.Fatal(err)
	}
	return log, func() (all []string) {
		log.Close()
		for line := range strings.Lines(out.String()) {
			var m map[string]any
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Errorf("no JSON: %v: %s", err, line)
			}
			text := fmt.Sprint(m["msg"])
			for _, f := range fields {
				if v, is := m[f]; is {
					text += fmt.Sprintf(" %s=%v", f, v)
				}
			}
			all = append(all, text)
		}
		return all
	}
}

func repeat(n int, line string) (all []string) {
	for range n {
		all = append(all, line)
	}
	return all
}

func TestLinesThatComeTooOftenAreHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, end := limitedLog(t, "info", "reason", "node", "of", "count", "since", "level")
		worker := As(log.Logger, "worker", "lb1", 7)
		for range 100 {
			worker.Warn("down", zap.String("reason", "a"))
			log.Info("other")
		}
		time.Sleep(time.Second)
		worker.Warn("down", zap.String("reason", "b"))
		worker.Error("down", zap.String("reason", "a"))
		time.Sleep(limitWindow)
		worker.Warn("down", zap.String("reason", "a"))
		got := end()
		synctest.Wait()

		want := map[string]int{
			"down reason=a node=lb1 level=warn":  limitPasses + 1,
			"down reason=b node=lb1 level=warn":  1,
			"down reason=a node=lb1 level=error": 1,
			"other level=info":                   limitPasses,
			"held back reason=a node=lb1 of=down count=90 since=2000-01-01T00:00:00.000000Z level=warn": 1,
			"held back of=other count=90 since=2000-01-01T00:00:00.000000Z level=info":                  1,
		}
		counted := map[string]int{}
		for _, line := range got {
			counted[line]++
		}
		if diff := cmp.Diff(want, counted); diff != "" {
			t.Errorf("lines (-want +got):\n%s", diff)
		}
		if got[len(got)-1] != "down reason=a node=lb1 level=warn" {
			t.Errorf("the last line is %q: what was held back is told when its window ends", got[len(got)-1])
		}
	})
}

func TestWhatIsHeldBackIsToldAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, end := limitedLog(t, "info", "count")
		for range limitPasses + 3 {
			log.Info("line")
		}
		want := append(repeat(limitPasses, "line"), "held back count=3")
		if diff := cmp.Diff(want, end()); diff != "" {
			t.Errorf("lines (-want +got):\n%s", diff)
		}
	})
}

// A flood that goes on is told of once in each window, and lets as many lines pass.
func TestFloodIsToldInEveryWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, end := limitedLog(t, "info", "count")
		for range 5 * 10 * int(limitWindow/time.Second) {
			log.Info("line")
			time.Sleep(100 * time.Millisecond)
		}
		passed, told, held := 0, 0, 0
		for _, line := range end() {
			var n int
			if _, err := fmt.Sscanf(line, "held back count=%d", &n); err == nil {
				told, held = told+1, held+n
			} else {
				passed++
			}
		}
		if passed != 5*limitPasses || told != 5 || passed+held != 500 {
			t.Errorf("of 500 lines, %d passed and %d lines tell of %d, want %d passed and 5 lines", passed, told, held, 5*limitPasses)
		}
	})
}

func TestSomeLinesAreNeverHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, end := limitedLog(t, "debug", always)
		for range 100 {
			log.Debug("asked for")
			log.Error("role changed", Always())
		}
		want := map[string]int{"asked for": 100, "role changed": 100}
		counted := map[string]int{}
		for _, line := range end() {
			counted[line]++
		}
		if diff := cmp.Diff(want, counted); diff != "" {
			t.Errorf("lines (-want +got):\n%s", diff)
		}
	})
}

// A reason may be any text: what is remembered of them is bounded.
func TestReasonsWithoutEndAreOneKind(t *testing.T) {
	var l limiter
	now := time.Unix(1000, 0)
	passed := 0
	for i := range 3 * maxKinds {
		if l.admit(now, kind{message: "line", reason: fmt.Sprint(i)}, nil) {
			passed++
		}
	}
	if len(l.spells) > maxKinds+1 || passed != maxKinds+limitPasses {
		t.Errorf("%d kinds are remembered and %d lines passed", len(l.spells), passed)
	}
	if told := l.over(now.Add(limitWindow)); len(told) != 1 || told[0].count != 2*maxKinds-limitPasses || len(l.spells) != 0 {
		t.Errorf("told %v, %d kinds are left", told, len(l.spells))
	}
	if !l.admit(now.Add(limitWindow), kind{message: "line"}, nil) {
		t.Error("after the window, the kind is still held back")
	}
}

func TestReasonOfAnyType(t *testing.T) {
	for _, f := range []zap.Field{zap.String("reason", "x"), zap.Stringer("reason", texter("x")), zap.NamedError("reason", errors.New("x"))} {
		if got := textOf(f); got != "x" {
			t.Errorf("%v: reason %q", f.Type, got)
		}
	}
	if got := textOf(zap.Int("reason", 1)); got != "" {
		t.Errorf("a number is the reason %q", got)
	}
}

type texter string

func (t texter) String() string { return string(t) }

func TestEveryLineSaysWhoSpeaks(t *testing.T) {
	log, end := limitedLog(t, "info", "process", "node", "pid")
	As(log.Logger, "agent", "lb1", 12).Info("a")
	As(log.Logger, "supervisor", "", 11).Info("b")
	if diff := cmp.Diff([]string{"a process=agent node=lb1 pid=12", "b process=supervisor pid=11"}, end()); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}
