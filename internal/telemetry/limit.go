package telemetry

import (
	"time"

	"go.uber.org/zap/zapcore"
)

const (
	// limitWindow is the time in which lines of one kind are counted, from the first.
	limitWindow = 10 * time.Second
	// limitPasses is how many of them pass.
	limitPasses = 10
	// maxKinds bounds the kinds that are told apart by their reason: a reason may be any
	// text.
	maxKinds = 1024
)

// kind is what lines are counted by.
type kind struct {
	level           zapcore.Level
	message, reason string
}

// spell is the current window of a kind.
type spell struct {
	began  time.Time
	passed int
	held   int
	since  time.Time    // when the first was held back
	to     zapcore.Core // where the newest would have gone
}

// heldBack is what was not written of a kind.
type heldBack struct {
	kind
	count int
	since time.Time
	to    zapcore.Core
}

// limiter decides which lines are written. Its zero value lets the first ones pass.
type limiter struct{ spells map[kind]*spell }

// admit counts a line for to, and reports whether it is written. What it holds back is
// told by over, when the window of its kind has ended.
func (l *limiter) admit(now time.Time, k kind, to zapcore.Core) bool {
	if l.spells == nil {
		l.spells = map[kind]*spell{}
	}
	if l.spells[k] == nil && len(l.spells) >= maxKinds {
		k.reason = ""
	}
	s := l.spells[k]
	if s == nil || s.held == 0 && !now.Before(s.began.Add(limitWindow)) {
		s = &spell{began: now}
		l.spells[k] = s
	}
	if s.passed < limitPasses {
		s.passed++
		return true
	}
	if s.held == 0 {
		s.since = now
	}
	s.held++
	s.to = to
	return false
}

// over forgets the windows that have ended by now, and returns what they held back.
func (l *limiter) over(now time.Time) (all []heldBack) {
	for k, s := range l.spells {
		if now.Before(s.began.Add(limitWindow)) {
			continue
		}
		if s.held > 0 {
			all = append(all, heldBack{k, s.held, s.since, s.to})
		}
		delete(l.spells, k)
	}
	return all
}

// next returns when the first window ends that holds something back; zero: there is none.
func (l *limiter) next() (next time.Time) {
	for _, s := range l.spells {
		if end := s.began.Add(limitWindow); s.held > 0 && (next.IsZero() || end.Before(next)) {
			next = end
		}
	}
	return next
}
