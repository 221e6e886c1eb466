package main

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandemlb/tandem/scripts/bench/side"
)

func TestScheduleKeepsItsRates(t *testing.T) {
	s := newSchedule(1, []stretch{{2 * time.Second, 1000}, {4 * time.Second, 5000}, {5 * time.Second, 500}})
	var counts [3]int
	last := time.Duration(0)
	for s.due(time.Minute) {
		at := s.take()
		if at < last || at >= 5*time.Second {
			t.Fatalf("a request at %v after one at %v", at, last)
		}
		last = at
		counts[min(int(at/(2*time.Second)), 2)]++
	}
	for i, want := range []float64{2000, 10000, 500} {
		// Five deviations of a Poisson process.
		if got := float64(counts[i]); math.Abs(got-want) > 5*math.Sqrt(want) {
			t.Errorf("stretch %d has %.0f requests, want about %.0f", i, got, want)
		}
	}
}

func TestSchedulesOfOneSeedAreTheSame(t *testing.T) {
	a, b := newSchedule(7, []stretch{{time.Second, 100}}), newSchedule(7, []stretch{{time.Second, 100}})
	for a.due(time.Second) {
		if x, y := a.take(), b.take(); x != y {
			t.Fatalf("%v and %v", x, y)
		}
	}
}

// Any knee is found within what the halving leaves, whichever rate it began with.
func TestSearchFindsTheKnee(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		knee := rapid.Float64Range(100, 100_000).Draw(t, "knee")
		s := &search{rate: rapid.Float64Range(100, 100_000).Draw(t, "start"), factor: 1.5, halves: 4, most: 1e6}
		steps := 0
		for !s.over() {
			s.took(s.rate <= knee, false)
			if steps++; steps > 60 {
				t.Fatal("it never ends")
			}
		}
		if s.held > knee || s.held < knee/math.Pow(1.5, 3.0/16*1.34) {
			t.Fatalf("found %.0f, want a little less than %.0f", s.held, knee)
		}
	})
}

func TestSearchEndsWhenNothingHolds(t *testing.T) {
	s := &search{rate: 8000, factor: 1.5, halves: 3, most: 1e6}
	for range 60 {
		if s.over() {
			break
		}
		s.took(false, false)
	}
	if !s.over() || s.held != 0 {
		t.Errorf("over: %v, held %v; want an end with nothing", s.over(), s.held)
	}
}

func TestSearchDoubtsWhatOnlyJustBroke(t *testing.T) {
	s := &search{rate: 100, factor: 2, halves: 0, most: 1e6}
	s.took(true, false)
	s.took(false, true)
	if s.rate != 200 || s.over() {
		t.Fatalf("it goes on with %v (over: %v), want 200 once more", s.rate, s.over())
	}
	s.took(true, false)
	s.took(false, true)
	s.took(false, true)
	if !s.over() || s.held != 200 || s.broke != 400 {
		t.Errorf("held %v, broke %v, over %v; want 200, 400, true", s.held, s.broke, s.over())
	}
}

func samples(kind string, from, to time.Duration, took ...time.Duration) (all []sample) {
	for i, at := 0, from; at < to; i, at = i+1, at+time.Millisecond {
		all = append(all, sample{at, took[i%len(took)], kind})
	}
	return all
}

func TestTally(t *testing.T) {
	all := slices.Concat(
		samples(served, 0, time.Second, 9*time.Second), // before what counts
		samples(served, time.Second, 2*time.Second, 1*time.Millisecond, 3*time.Millisecond),
		samples("503", time.Second, 1200*time.Millisecond, 2*time.Millisecond),
		samples(timedOut, time.Second, 1100*time.Millisecond, 2*time.Second),
	)
	got := tallied(all, time.Second, 2*time.Second)
	if got.goodput() != 1000 || got.total() != 1300 || math.Abs(got.failed()-300.0/1300) > 1e-9 {
		t.Errorf("served %v/s, %d in all, failed %v", got.goodput(), got.total(), got.failed())
	}
	if got.p99() != 3*time.Millisecond || side.Quantile(got.latencies, 0.25) != time.Millisecond {
		t.Errorf("p99 %v, p25 %v", got.p99(), side.Quantile(got.latencies, 0.25))
	}
	if diff := cmp.Diff([]string{"503", timedOut}, got.failures()); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
}

func TestBoundHolds(t *testing.T) {
	b := bound{100 * time.Millisecond, 0.01}
	for name, tc := range map[string]struct {
		all  []sample
		want bool
	}{
		"well":         {samples(served, 0, time.Second, time.Millisecond), true},
		"late":         {samples(served, 0, time.Second, time.Millisecond, 101*time.Millisecond), false},
		"one lost":     {slices.Concat(samples(served, 0, time.Second, 1), samples(reset, 0, 10*time.Millisecond, 1)), true},
		"many lost":    {slices.Concat(samples(served, 0, time.Second, 1), samples(reset, 0, 20*time.Millisecond, 1)), false},
		"no request":   {nil, false},
		"none is kept": {samples(refused, 0, time.Second, 1), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := b.holds(tallied(tc.all, 0, time.Second)); got != tc.want {
				t.Errorf("holds: %v, want %v", got, tc.want)
			}
		})
	}
}

func TestRecovery(t *testing.T) {
	b := bound{100 * time.Millisecond, 0.01}
	well := samples(served, 0, 10*time.Second, time.Millisecond)
	bad := func(from, to time.Duration) []sample {
		return slices.Concat(well, samples(timedOut, from, to, 2*time.Second))
	}
	for name, tc := range map[string]struct {
		all       []sample
		want      time.Duration
		recovered bool
	}{
		"at once":        {well, 0, true},
		"after a while":  {bad(4*time.Second, 5100*time.Millisecond), 1250 * time.Millisecond, true},
		"with a relapse": {bad(6*time.Second, 6010*time.Millisecond), 2250 * time.Millisecond, true},
		"never":          {bad(4*time.Second, 10*time.Second), 6 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, recovered := b.recovery(tc.all, 4*time.Second, 10*time.Second)
			if got != tc.want || recovered != tc.recovered {
				t.Errorf("%v, %v; want %v, %v", got, recovered, tc.want, tc.recovered)
			}
		})
	}
}

func TestParseAnswer(t *testing.T) {
	for name, tc := range map[string]struct {
		text  string
		want  answer
		whole bool
		fails bool
	}{
		"ok":        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", answer{status: 200, length: 43}, true, false},
		"denied":    {"HTTP/1.1 503 No\r\ncontent-length: 0\r\nRetry-After: 1\r\nX-Tandem-Reason: queue-full\r\n\r\n", answer{status: 503, length: 83, reason: "queue-full", later: true}, true, false},
		"the last":  {"HTTP/1.1 429 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", answer{status: 429, length: 57, closes: true}, true, false},
		"until end": {"HTTP/1.0 503 No\r\nConnection: close\r\n\r\n", answer{status: 503, length: 38, closes: true}, true, false},
		"begun":     {"HTTP/1.1 200 OK\r\nContent-Le", answer{}, false, false},
		"no length": {"HTTP/1.1 200 OK\r\n\r\n", answer{}, true, true},
		"no status": {"HTTP/1.1 abc OK\r\n\r\n", answer{}, true, true},
		"no HTTP":   {"SSH-2.0\r\n\r\n", answer{}, true, true},
		"too long":  {"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", answer{}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, whole, err := parseAnswer([]byte(tc.text))
			if got != tc.want || whole != tc.whole || (err != nil) != tc.fails {
				t.Errorf("%+v, %v, %v; want %+v, %v, fails: %v", got, whole, err, tc.want, tc.whole, tc.fails)
			}
		})
	}
}

func FuzzParseAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 503 No\r\ncontent-length: 0\r\nRetry-After: 1\r\n\r\n"))
	f.Add([]byte("HTTP/1.0 200 OK\r\n\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		a, whole, err := parseAnswer(text)
		if whole && err == nil && (a.status < 200 || a.status > 599 || a.length < len("HTTP/1.1 200\r\n\r\n") || a.length > len(text)+maxAnswer) {
			t.Errorf("%+v of %q", a, text)
		}
	})
}

const connections = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100027F:C001 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1
   2: 0100007F:1F90 0100027F:C002 08 00000000:00000000 00:00000000 00000000     0        0 3 1 0 20 4 30 10 -1
   3: 0100007F:1F90 0100027F:C003 06 00000000:00000000 03:00000000 00000000     0        0 0 3 0
   4: 0100027F:C001 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 4 1 0 20 4 30 10 -1
`

func TestOpenConnectionsAreCounted(t *testing.T) {
	// Not the listener, one in TIME_WAIT, or the client's end.
	if got := openAt(connections, 8080); got != 2 {
		t.Errorf("%d, want 2", got)
	}
}

func FuzzOpenAt(f *testing.F) {
	f.Add(connections, uint16(8080))
	f.Fuzz(func(t *testing.T, table string, port uint16) {
		if n := openAt(table, port); n < 0 || n > len(table)/4 {
			t.Errorf("%d in %q", n, table)
		}
	})
}
