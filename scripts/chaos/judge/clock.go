package judge

import (
	"time"
)

// since is a fact, and since when it is so.
type since struct {
	is bool
	at time.Duration
}

func (s *since) set(now time.Duration, is bool) {
	if s.is != is {
		*s = since{is, now}
	}
}

func (s since) text(now time.Duration) string {
	if s.is {
		return "yes for " + ms(now-s.at).String()
	}
	return "no for " + ms(now-s.at).String()
}

// both is the fact that both are so.
func (s since) both(t since) since {
	if s.is && t.is {
		return since{true, max(s.at, t.at)}
	}
	return since{}
}

// spell is a time in which something is so in every sample. What it lasts is
// proven: a sampler that is late sees less of it.
type spell struct {
	since
	told bool // that it lasts too long
}

// look takes a sample, and returns for how long it is so, beginning at the
// earliest at a time.
func (s *spell) look(now time.Duration, is bool, earliest time.Duration) (lasts time.Duration) {
	if !is {
		*s = spell{}
		return 0
	}
	s.set(now, true)
	return max(0, now-max(s.at, earliest))
}

// delays are how late the machine was of late.
type delays struct{ recent []Event }

// remembered is for how long a delay counts.
const remembered = 10 * time.Second

func (d *delays) add(e Event) {
	first := 0
	for first < len(d.recent) && d.recent[first].At < e.At-remembered {
		first++
	}
	d.recent = append(d.recent[first:], e)
}

// slack is by how much a thing that is done in real time may be late because this
// machine was, from a time on: the sum of what the sampler was, which runs as the
// agents do, and the longest that the kernel's lock was held by others.
func (d *delays) slack(from time.Duration) time.Duration {
	var sum, lock time.Duration
	for _, e := range d.recent {
		switch {
		case e.At < from:
		case e.Text == Harness:
			sum += e.Span
		case e.Text == Lock:
			lock = max(lock, e.Span)
		}
	}
	return sum + lock
}

// ordinary is how late an ordinary process was at most from a time on.
func (d *delays) ordinary(from time.Duration) (most time.Duration) {
	for _, e := range d.recent {
		if e.At >= from && e.Text == Ordinary {
			most = max(most, e.Span)
		}
	}
	return most
}

// window counts what happens within a second.
type window struct {
	times []time.Duration
	told  bool
}

func (w *window) add(now time.Duration) int {
	first := 0
	for first < len(w.times) && w.times[first] <= now-time.Second {
		first++
	}
	w.times = append(w.times[first:], now)
	return len(w.times)
}
