package timeline

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
)

// run runs a store of lb1 in dir until stop, which waits for it.
func run(t *testing.T, dir string, boot int64) (s *Store, stop func()) {
	t.Helper()
	loadedC := make(chan struct{}, 1000)
	s = New(Options{Node: "lb1", Others: []string{"lb2"}, Boot: time.UnixMilli(boot), Dir: dir, Changed: func() {
		select {
		case loadedC <- struct{}{}:
		default:
		}
	}})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { s.Run(ctx) })
	stop = func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	<-loadedC
	return s, stop
}

func say(s *Store, what string) {
	s.Add(Event{At: time.Unix(2000+int64(s.seq), 0), Kind: admin.ConfigEvent, What: what})
}

func TestEventsSurviveTheProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s, stop := run(t, dir, 1)
	say(s, "one")
	if err := s.Receive(time.Now(), []byte(`{"Of":"lb2","Events":[{"node":"lb2","boot":9,"seq":4,"at":"1970-01-01T01:00:00Z","kind":"role","what":"theirs"}]}`)); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	s, stop = run(t, dir, 2)
	say(s, "two")
	if got := whats(s.Events(time.Time{}, 100)); !slices.Equal(got, []string{"one", "two", "theirs"}) {
		t.Errorf("%q", got)
	}
	has := s.Says()
	if has.Have["lb1"] != mark(1, 1) || has.Have["lb2"] != mark(9, 4) || has.Boot != 2 {
		t.Errorf("says %+v", has)
	}
	t.Log("# another process that is given the same file leaves it alone")
	second, stopSecond := run(t, dir, 3)
	say(second, "three")
	if err := second.Err(); err == nil || !strings.Contains(err.Error(), "another process uses it") {
		t.Errorf("error %v", err)
	}
	stopSecond()
	stop()
	s, _ = run(t, dir, 1) // the clock was set back
	if got := whats(s.Events(time.Time{}, 100)); !slices.Equal(got, []string{"one", "two", "theirs"}) {
		t.Errorf("%q", got)
	}
	say(s, "four")
	if e := s.log.After("lb1", mark(2, 1), 9); len(e) != 1 || e[0].What != "four" {
		t.Errorf("after what was kept comes %+v", e)
	}
}

func TestADirectoryThatCannotBeUsed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "file", "state")
	if err := os.WriteFile(filepath.Dir(dir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, _ := run(t, dir, 1)
	say(s, "one")
	if err := s.Err(); err == nil || len(s.Events(time.Time{}, 9)) != 1 || s.Says() == nil {
		t.Errorf("error %v, %d events", err, len(s.Events(time.Time{}, 9)))
	}
	if New(Options{}).Err() == nil {
		t.Error("a store without a file claims to keep events")
	}
}

func TestTheFileStaysSmall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events-lb1.jsonl")
	s := New(Options{Node: "lb1", Boot: time.UnixMilli(1), Dir: filepath.Dir(path)})
	j := s.load()
	if j == nil {
		t.Fatal(s.Err())
	}
	for range 6 * maxPerNode {
		say(s, "x")
		s.keep(j)
		if j.lines > 2*maxPerNode+spareLines+1 {
			t.Fatalf("%d lines", j.lines)
		}
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	kept, bad, err := readEvents(bytes.NewReader(text))
	if err != nil || bad != 0 || len(kept) < maxPerNode || kept[len(kept)-1].Seq != 6*maxPerNode {
		t.Errorf("%d lines, %d bad, %v", len(kept), bad, err)
	}
	if left, _ := filepath.Glob(path + ".*"); len(left) > 0 {
		t.Errorf("left over: %q", left)
	}
}

func TestWhatTheDiskWasTooSlowForIsNotLost(t *testing.T) {
	dir := t.TempDir()
	s := New(Options{Node: "lb1", Boot: time.UnixMilli(1), Dir: dir})
	j := s.load()
	for i := range maxUnkept + 5 {
		say(s, fmt.Sprint(i))
	}
	s.keep(j)
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	again := New(Options{Node: "lb1", Boot: time.UnixMilli(2), Dir: dir})
	if j := again.load(); j == nil || again.log.Len() != maxPerNode {
		t.Errorf("%d events, %v", again.log.Len(), again.Err())
	}
}

const goodLine = `{"node":"lb1","boot":1,"seq":1,"at":"2026-01-02T12:00:00Z","kind":"role","what":"x"}` + "\n"

func TestLinesThatAreNone(t *testing.T) {
	for name, tc := range map[string]struct {
		text      string
		good, bad int
	}{
		"empty":            {"", 0, 0},
		"good":             {goodLine + goodLine, 2, 0},
		"torn at the end":  {goodLine + goodLine[:40], 1, 1},
		"no line end":      {goodLine + strings.TrimSpace(goodLine), 1, 1},
		"zeros at the end": {goodLine + strings.Repeat("\x00", 300), 1, 1},
		"in the middle":    {goodLine + "{]\n" + goodLine, 2, 1},
		"an endless line":  {goodLine + strings.Repeat("x", 5*maxLine) + "\n" + goodLine, 2, 1},
		"endless at last":  {goodLine + strings.Repeat("x", 2*maxLine), 1, 1},
		"not an event":     {goodLine + "{}\n", 1, 1},
	} {
		events, bad, err := readEvents(strings.NewReader(tc.text))
		if err != nil || len(events) != tc.good || bad != tc.bad {
			t.Errorf("%s: %d events, %d bad lines, %v; want %d, %d", name, len(events), bad, err, tc.good, tc.bad)
		}
	}
	t.Log("# after such an end the file is whole again")
	dir := t.TempDir()
	path := filepath.Join(dir, "events-lb1.jsonl")
	if err := os.WriteFile(path, []byte(goodLine+goodLine[:40]), 0o600); err != nil {
		t.Fatal(err)
	}
	s, stop := run(t, dir, 2)
	say(s, "two")
	stop()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if events, bad, _ := readEvents(bytes.NewReader(text)); len(events) != 2 || bad != 0 {
		t.Errorf("%d events, %d bad lines in\n%s", len(events), bad, text)
	}
}

func FuzzReadEvents(f *testing.F) {
	f.Add([]byte(goodLine + goodLine[:40]))
	f.Add([]byte("{}\n\n\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		events, bad, err := readEvents(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if lines := bytes.Count(b, []byte("\n")) + 1; len(events)+bad > lines {
			t.Errorf("%q: %d events and %d bad lines", b, len(events), bad)
		}
		again, bad, err := readEvents(bytes.NewReader(encodeEvents(events)))
		if err != nil || bad != 0 || len(again) != len(events) {
			t.Errorf("%q: read again %d of %d events, %d bad, %v", b, len(again), len(events), bad, err)
		}
	})
}
