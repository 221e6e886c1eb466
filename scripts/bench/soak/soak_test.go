package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/config"
	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/internal/lab/labtest"
	"github.com/tandemlb/tandem/scripts/bench/side"
)

// watched is a life of so many minutes with what memory says of each, in MiB.
func watched(minutes int, memory func(minute float64) float64) life {
	l := life{Node: "lb1", Process: "worker", Began: time.Minute}
	for i := range minutes * 12 {
		at := time.Minute + time.Duration(i)*watchEvery
		l.Readings = append(l.Readings, reading{At: at, Memory: memory(at.Minutes()) * (1 << 20), Descriptors: 30, Goroutines: 20})
	}
	return l
}

func TestALeakIsSeen(t *testing.T) {
	for name, tc := range map[string]struct {
		memory func(float64) float64
		leaks  bool
	}{
		"flat":                       {func(float64) float64 { return 30 }, false},
		"up and down with the load":  {func(m float64) float64 { return 30 + 8*math.Abs(math.Sin(m*math.Pi/2)) }, false},
		"a step at the beginning":    {func(m float64) float64 { return 20 + 10*min(1, m/4) }, false},
		"a leak":                     {func(m float64) float64 { return 30 + m/5 }, true},
		"a leak within ups and down": {func(m float64) float64 { return 30 + 8*math.Abs(math.Sin(m*math.Pi/2)) + m/5 }, true},
		"shrinking":                  {func(m float64) float64 { return 60 - m }, false},
	} {
		t.Run(name, func(t *testing.T) {
			j := judge(watched(30, tc.memory), 5*time.Minute, reading{}, reading{})
			if leaks := len(j.Problems) > 0; leaks != tc.leaks {
				t.Errorf("problems %q, %.1f MiB an hour; want one: %v", j.Problems, j.Memory.Hourly/(1<<20), tc.leaks)
			}
		})
	}
}

func TestWhatTheLoadTookIsGivenBack(t *testing.T) {
	flat := watched(30, func(float64) float64 { return 30 })
	before := reading{At: time.Second, Descriptors: 26, Goroutines: 21}
	for name, tc := range map[string]struct {
		rest reading
		want string
	}{
		"as before":            {reading{At: time.Hour, Descriptors: 27, Goroutines: 22}, ""},
		"kept coroutines":      {reading{At: time.Hour, Descriptors: 27, Goroutines: 60}, ""},
		"too many goroutines":  {reading{At: time.Hour, Descriptors: 27, Goroutines: 90}, "goroutines"},
		"descriptors are left": {reading{At: time.Hour, Descriptors: 40, Goroutines: 22}, "descriptors"},
		"it did not live":      {reading{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range flat.Readings {
				flat.Readings[i].Goroutines = 60
			}
			got := strings.Join(judge(flat, 5*time.Minute, before, tc.rest).Problems, ", ")
			if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
				t.Errorf("problems %q, want %q", got, tc.want)
			}
		})
	}
}

func TestFailuresAreSorted(t *testing.T) {
	at := func(seconds float64) time.Time {
		return time.Unix(0, 0).Add(time.Duration(seconds * float64(time.Second)))
	}
	windows := []window{{Name: "a", From: at(10), To: at(13)}, {Name: "b", From: at(20), To: at(23)}}
	failures := []failure{
		{Begin: at(9.5), End: at(10.1)}, // it was on its way
		{Begin: at(12.9), End: at(15)},
		{Begin: at(13.1), End: at(15)}, // too late
		{Begin: at(5), End: at(6)},
		{Begin: at(21), End: at(21)},
	}
	byWindow, others := sorted(failures, windows)
	if diff := cmp.Diff([]int{2, 1}, byWindow); diff != "" || len(others) != 2 || others[0] != failures[2] || others[1] != failures[3] {
		t.Errorf("by window (-want +got):\n%sothers: %v", diff, others)
	}
}

func TestAnAddressThatMovesByItselfIsNoticed(t *testing.T) {
	at := func(seconds int) time.Time { return time.Unix(int64(seconds), 0) }
	changes := []change{{at(0), []string{"lb1"}}, {at(11), []string{"lb2"}}, {at(50), nil}, {at(51), []string{"lb1"}}}
	got := unexpected(changes, []window{{From: at(10), To: at(13)}})
	if len(got) != 2 || !got[0].From.Equal(at(49)) || !strings.Contains(got[0].Name, "from lb2 to nobody") || !got[1].Unexpected {
		t.Errorf("got %+v", got)
	}
}

func TestParseMetrics(t *testing.T) {
	got, err := parseMetrics(strings.NewReader("# HELP x\nx 1\ny{process=\"worker\"} 2.5e+06\n\n"))
	if diff := cmp.Diff(map[string]float64{"x": 1, `y{process="worker"}`: 2.5e6}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := parseMetrics(strings.NewReader("x many\n")); err == nil {
		t.Error("no error")
	}
}

func FuzzParseMetrics(f *testing.F) {
	f.Add("x{a=\"b c\"} 1\n# y\n")
	f.Fuzz(func(t *testing.T, text string) {
		values, err := parseMetrics(strings.NewReader(text))
		if err == nil && len(values) > strings.Count(text, "\n")+1 {
			t.Errorf("%d values of %q", len(values), text)
		}
	})
}

func TestAProcessThatIsStartedAnewHasALifeOfItsOwn(t *testing.T) {
	w := &watcher{current: make(map[string]int)}
	for i, birth := range []string{"1", "1", "2", "2", "2"} {
		w.add("lb1", "worker", birth, reading{At: time.Duration(i) * time.Second, Memory: 1})
		w.add("lb2", "worker", "1", reading{At: time.Duration(i) * time.Second, Memory: 1})
	}
	w.add("lb1", "worker", "2", reading{At: 9 * time.Second}) // it says nothing of itself yet
	var got []int
	for _, l := range w.lives {
		got = append(got, len(l.Readings))
	}
	if diff := cmp.Diff([]int{2, 5, 3}, got); diff != "" {
		t.Errorf("readings of each life (-want +got):\n%s", diff)
	}
	if since := w.since(5 * time.Second); len(since) != 0 {
		t.Errorf("since then nothing was read, and there is %v", since)
	}
	if newest := w.since(0); newest[2].At != 4*time.Second || newest[1].At != 4*time.Second || len(newest) != 2 {
		t.Errorf("newest %v", newest)
	}
}

func TestConfigsAreUnderstood(t *testing.T) {
	f, err := side.Certify(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	even, odd := pairConfig(f, false), pairConfig(f, true)
	for name, text := range map[string]string{"even": even, "odd": odd} {
		if _, err := config.Parse("tandem.yaml", []byte(text)); err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
	if even == odd {
		t.Error("a reload would change nothing")
	}
}

// Without a pair in between, every flow is answered.
func TestEveryFlowIsAnswered(t *testing.T) {
	spec := lab.HostSpec{Name: "server", Addresses: labtest.Host("", failover.VIP().String()).Addresses}
	l := labtest.New(t, spec, labtest.Host("client", "10.77.0.50/24"))
	server, err := serve(l.Host("server"), spec)
	if err != nil {
		t.Fatal(err)
	}
	counts := &tally{requests: make(map[string]int)}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running sync.WaitGroup
	var asked int
	for _, f := range flows() {
		if strings.HasPrefix(f.name, "tls") {
			continue // it is the pair that speaks TLS
		}
		asked++
		running.Go(func() { f.run(ctx, l.Host("client"), counts) })
	}
	labtest.Eventually(t, 20*time.Second, "every flow has asked", func() (bool, string) {
		counts.mu.Lock()
		defer counts.mu.Unlock()
		return len(counts.requests) == asked, fmt.Sprint(counts.requests)
	})
	cancel()
	running.Wait()
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	for _, f := range counts.failures {
		t.Errorf("%s: %s", f.Flow, f.Why)
	}
}

func TestTheReportNamesWhatIsWrong(t *testing.T) {
	r := result{
		Began: time.Unix(0, 0), Loaded: 30 * time.Minute,
		Lives:    []life{watched(30, func(m float64) float64 { return 30 + m }), watched(3, func(float64) float64 { return 30 })},
		Requests: map[string]int{"http": 10}, Failures: []failure{{Flow: "http", Begin: time.Unix(7, 0), End: time.Unix(8, 0), Why: errors.New("reset").Error()}},
		Windows: []window{{Name: "lb1: link cut", From: time.Unix(60, 0), To: time.Unix(63, 0)}},
	}
	text, problems := r.text(r.lines())
	if len(problems) != 2 || !strings.Contains(problems[0], "its memory grows by 60.0 MiB an hour") || !strings.Contains(problems[1], "1 requests failed") {
		t.Errorf("problems %q", problems)
	}
	if strings.Count(text, "lb1 worker") != 1 || !strings.Contains(text, "7s: http, after 1s: reset") || !strings.Contains(text, "| link cut | 1 | 0 |") {
		t.Errorf("the report, where a short life is to be left out:\n%s", text)
	}
	if svg := r.picture(); !strings.HasPrefix(svg, "<svg") || strings.Contains(svg, "NaN") {
		t.Error("no picture")
	}
}
