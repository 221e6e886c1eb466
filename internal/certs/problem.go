package certs

import "time"

// grace is how long files that belong together may be at odds before that is said: who
// renews a certificate writes one file after the other.
const grace = 5 * time.Second

// offerAgain is after what time files that are good here are offered again to those who
// have not taken them: they may be others by then.
const offerAgain = time.Minute

// problem is why the newest files of a part are not in use.
type problem struct {
	err   error     // nil: they are
	since time.Time // when it was seen first
	told  error     // the newest that was told of, and counts
	begun time.Time // when that was seen first

	// What was judged: those files, beside those that were in use then.
	of    []reading
	turn  uint64
	again time.Time // when they are judged again, though nothing changes; zero: never
}

// note remembers err as what is wrong at now, and reports whether that is to be told: it
// has lasted, and is not what was told before.
func (p *problem) note(err error, now time.Time) bool {
	if p.err == nil || p.err.Error() != err.Error() {
		p.err, p.since = err, now
	}
	if !p.untold(now) {
		return false
	}
	p.told, p.begun = p.err, p.since
	return true
}

// untold reports whether the problem has lasted and was not told of.
func (p *problem) untold(now time.Time) bool {
	return p.err != nil && now.Sub(p.since) >= grace && (p.told == nil || p.told.Error() != p.err.Error())
}

// refuse is note for what is wrong for good: it need not last.
func (p *problem) refuse(err error, now time.Time) bool {
	if p.told != nil && p.told.Error() == err.Error() {
		p.err = p.told
		return false
	}
	*p = problem{err: err, since: now, told: err, begun: now}
	return true
}
