package agent

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	simSeed = flag.Uint64("sim.seed", 0, "simulate this schedule alone, with its log")
	simSoak = flag.Duration("sim.soak", 0, "simulate new schedules for so long")
)

// simStories is how many stories a test tells.
const simStories = 2000

// TestSimulation tells many stories of whole nodes, of a minute each.
func TestSimulation(t *testing.T) {
	if *simSeed != 0 {
		s := newStory(*simSeed)
		w, err := s.tell(sound, true)
		t.Logf("%v\n%s", s, strings.Join(w.log, "\n"))
		if err != nil {
			s.fail(t, err)
		}
		return
	}
	n := narration{begin: time.Now(), first: 1, stories: simStories}
	if *simSoak > 0 {
		n.first, n.stories = rand.Uint64()>>16, 1<<62
		n.end = n.begin.Add(*simSoak)
	}
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() { n.tell(t) })
	}
	wg.Wait()
	n.report(t)
	if n.err != nil {
		n.failed.fail(t, n.err)
	}
}

// narration is many stories that are told side by side.
type narration struct {
	begin, end time.Time // zero end: when all are told
	first      uint64    // seed
	stories    uint64

	mu        sync.Mutex
	told      uint64
	worstTwo  time.Duration
	worstNone time.Duration
	failed    story
	err       error
	reported  time.Time
}

func (n *narration) tell(t *testing.T) {
	for {
		n.mu.Lock()
		now, seed := time.Now(), n.first+n.told
		over := n.told == n.stories || n.err != nil || !n.end.IsZero() && now.After(n.end)
		if !over {
			n.told++
		}
		n.mu.Unlock()
		if over {
			return
		}
		s := newStory(seed)
		w, err := s.tell(sound, false)
		n.mu.Lock()
		n.worstTwo, n.worstNone = max(n.worstTwo, w.judge.worstTwo), max(n.worstNone, w.judge.worstNone)
		if err != nil && n.err == nil {
			n.failed, n.err = s, err
		}
		n.mu.Unlock()
		n.progress(t, now)
	}
}

// progress reports now and then while the stories last long.
func (n *narration) progress(t *testing.T, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.reported.IsZero() {
		n.reported = n.begin
	}
	if now.Sub(n.reported) >= 10*time.Second {
		n.reported = now
		n.report(t)
	}
}

func (n *narration) report(t *testing.T) {
	t.Logf("%d schedules of %v from seed %d, %.0f a second; at worst two owners for %v and none for %v", n.told, simEnd, n.first,
		float64(n.told)/time.Since(n.begin).Seconds(), n.worstTwo.Round(time.Millisecond), n.worstNone.Round(time.Millisecond))
}

// TestSimulationIsRepeatable tells a story twice, and expects every word again.
func TestSimulationIsRepeatable(t *testing.T) {
	for seed := range uint64(5) {
		s := newStory(seed + 100)
		a, err1 := s.tell(sound, true)
		b, err2 := s.tell(sound, true)
		if !slices.Equal(a.log, b.log) || !errors.Is(err1, err2) && fmt.Sprint(err1) != fmt.Sprint(err2) {
			t.Errorf("seed %d is told in two ways", s.seed)
		}
	}
}

// TestSimulationFindsBugs builds faults in, and expects each to be found, and the
// story that shows it to be shortened.
func TestSimulationFindsBugs(t *testing.T) {
	for b, name := range map[bug]string{noReannounce: "no announcement after a heal", tieIgnored: "tie ignored", noRenewal: "lease not renewed"} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(400) {
				s := newStory(seed + 1)
				_, err := s.tell(b, false)
				if err == nil {
					continue
				}
				short := s.shrink(b)
				t.Logf("found by seed %d, in %d of %d operations: %v", s.seed, len(short.ops), len(s.ops), err)
				if _, err := short.tell(b, false); err == nil {
					t.Error("the shortened story is fine")
				}
				return
			}
			t.Error("400 stories did not show it")
		})
	}
}

func BenchmarkSimulation(b *testing.B) {
	for i := range b.N {
		if _, err := newStory(uint64(i+1)).tell(sound, false); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "schedules/s")
}
