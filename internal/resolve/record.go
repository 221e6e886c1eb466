package resolve

import (
	"errors"
	"slices"
	"time"

	"github.com/tandemlb/tandem/internal/roster"
)

const (
	// minTTL and maxTTL bound for how long an answer is believed: a TTL of 0 must not
	// make a storm of questions, and a long one must not hide a change for hours.
	minTTL = time.Second
	maxTTL = 5 * time.Minute
	// maxRetry bounds the time between two questions that fail.
	maxRetry = 30 * time.Second
	// emptyFor is for how long every answer says that a name has no address until
	// that is believed. A zone that is being loaded says so for a moment, and no pool
	// is to lose its servers for that.
	emptyFor = time.Minute
)

// errEmpty says that the name has no records: NXDOMAIN, or none of the type.
var errEmpty = errors.New("it has no addresses")

// result is what came of one question.
type result struct {
	targets []roster.Target
	ttl     time.Duration
	err     error // errEmpty: an answer, of nothing; another beside targets: those of one family
}

// record is what is known of one name.
type record struct {
	answer   roster.Answer
	asked    bool // at least one question has ended
	asking   bool
	due      time.Time // of the next question
	failures int       // in a row
	empty    time.Time // since when all answers were of nothing; zero: they are not
}

// absorb takes a result in. A failure keeps the last good answer for as long as it
// takes. random in [0, 1) spreads the questions of many nodes.
func (r *record) absorb(now time.Time, got result, random float64) {
	r.asked, r.asking = true, false
	switch {
	case got.err == nil:
		r.failures, r.empty = 0, time.Time{}
		r.answer = roster.Answer{Targets: got.targets, At: now}
		r.due = now.Add(until(got.ttl, random))
		return
	case !errors.Is(got.err, errEmpty):
		// It says nothing of the name: the time of empty answers does not go on.
		r.empty = time.Time{}
		r.mend(now, got.targets)
	case r.empty.IsZero():
		r.empty = now
	case now.Sub(r.empty) >= emptyFor:
		r.answer.Targets = nil
	}
	r.answer.Err = got.err.Error()
	r.due = now.Add(jitter(min(minTTL<<min(r.failures, 5), maxRetry), random))
	r.failures++
}

// mend takes half an answer in: the addresses of one family, where the question for the
// other has failed, as it always does with some nameservers.
func (r *record) mend(now time.Time, half []roster.Target) {
	if len(half) == 0 {
		return
	}
	v4 := half[0].Address.Addr().Is4()
	all := slices.Clone(half)
	for _, t := range r.answer.Targets {
		if t.Address.Addr().Is4() != v4 {
			all = append(all, t)
		}
	}
	r.answer.Targets, r.answer.At = all, now
}

// hint makes the next question due soon: a server that cannot be reached may have
// moved.
func (r *record) hint(now time.Time) {
	if soon := r.answer.At.Add(minTTL); !r.asking && r.failures == 0 && r.due.After(soon) {
		r.due = later(soon, now)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func until(ttl time.Duration, random float64) time.Duration {
	return jitter(min(max(ttl, minTTL), maxTTL), random)
}

// jitter adds up to a tenth: never less, so that a cache on the way has forgotten.
func jitter(d time.Duration, random float64) time.Duration {
	return d + time.Duration(random*float64(d)/10)
}
