// Package certs keeps the files that a config names for TLS: certificates, their private
// keys, bundles of authorities, lists of revoked certificates. It reads and judges them,
// and takes up what changes: files that belong together, together, and only when they
// are good. Until then what was there before stays in use.
package certs

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tandemlb/tandem/proxy"
)

// maxFiles bounds all files together: they are handed over in one message.
const maxFiles = 32 << 20

// grace is how long files that belong together may be at odds before that is said: who
// renews a certificate writes one file after the other.
const grace = 5 * time.Second

// Keeper keeps the files of one config. Multiple goroutines may use it.
type Keeper struct {
	spec  proxy.Spec
	parts []part

	mu       sync.Mutex
	live     proxy.Files // in use; never written to, another one takes its place
	seen     map[string]reading
	problems []problem // of parts[i], in the same place
	counts   Counts
	made     terms // of live
	told     []Notice
}

// problem is why the newest files of a part are not in use.
type problem struct {
	err   error     // nil: they are
	since time.Time // when it was seen first
	told  error     // the newest that has lasted longer than grace, and counts
	begun time.Time // when that was seen first
}

// Counts count since the process started.
type Counts struct {
	Reloads uint64 // changed files that were taken up
	Errors  uint64 // changed files that were not, since they are bad
}

// Load reads the files of spec. On an error none is to be used; it lists everything that
// is wrong. before, which may be nil, is the keeper of the config until now: the new one
// goes on with its counts.
func Load(spec proxy.Spec, now time.Time, before *Keeper) (*Keeper, error) {
	k := &Keeper{spec: spec, parts: partsOf(spec), live: proxy.Files{}, seen: map[string]reading{}}
	k.problems = make([]problem, len(k.parts))
	if before != nil {
		k.counts, k.told = before.past()
	}
	var errs []error
	size := 0
	readable := everything(k.parts)
	for _, p := range k.parts {
		for _, path := range p.paths {
			r := read(path, reading{}, now)
			k.seen[path], k.live[path] = r, r.content
			size += len(r.content)
		}
		if err := p.unreadable(k.seen); err != nil {
			errs = append(errs, err)
			readable = readable.without(p)
		}
	}
	if size > maxFiles {
		errs = append(errs, fmt.Errorf("the files of certificates have %d bytes together, more than %d", size, maxFiles))
	}
	made, err := judge(spec, readable, k.live, terms{})
	k.made, errs = made, append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return k, nil
}

// Files returns the contents that are in use. They are not to be written to.
func (k *Keeper) Files() proxy.Files {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.live
}

// Counts returns the counts since the process started.
func (k *Keeper) Counts() Counts {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.counts
}

// past returns what another keeper goes on with.
func (k *Keeper) past() (Counts, []Notice) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.counts, k.told
}

// Look reads what has changed, and reports whether Take has something to do.
func (k *Keeper) Look(now time.Time) bool {
	k.mu.Lock()
	before := maps.Clone(k.seen)
	k.mu.Unlock()
	// Without the lock: a disk may take its time.
	found := make(map[string]reading, len(before))
	for path, r := range before {
		found[path] = read(path, r, now)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen = found
	for i, p := range k.parts {
		if k.differs(p) || k.problems[i].err != nil {
			return true
		}
	}
	return len(k.untold(now)) > 0
}

// untold returns the notices that have not been returned by Take.
func (k *Keeper) untold(now time.Time) []Notice {
	return slices.DeleteFunc(k.notices(now), func(n Notice) bool { return slices.Contains(k.told, n) })
}

// differs reports whether the newest files of p are not those in use.
func (k *Keeper) differs(p part) bool {
	return slices.ContainsFunc(p.paths, func(path string) bool {
		r := k.seen[path]
		return r.err != nil || !bytes.Equal(r.content, k.live[path])
	})
}

// Change is what Take did.
type Change struct {
	Files   proxy.Files // those with other contents than before; nil: none
	Events  []Event
	Notices []Notice // that are new
}

// Event is what happened to files that belong together.
type Event struct {
	Paths []string
	Err   error // nil: they are in use from now on; else why they are not
}

// Take takes up what Look has found, as far as it is good. Who calls it hands the files
// over to those who use them.
func (k *Keeper) Take(now time.Time) Change {
	k.mu.Lock()
	defer k.mu.Unlock()
	var c Change
	for i, p := range k.parts {
		if !k.differs(p) {
			k.problems[i] = problem{}
			continue
		}
		made, err := k.tryout(p)
		if err != nil {
			if k.problems[i].note(err, now) {
				k.counts.Errors++
				c.Events = append(c.Events, Event{Paths: p.paths, Err: err})
			}
			continue
		}
		k.problems[i] = problem{}
		k.counts.Reloads++
		c.Events = append(c.Events, Event{Paths: p.paths})
		for _, path := range p.paths {
			if content := k.seen[path].content; !bytes.Equal(content, k.live[path]) {
				if c.Files == nil {
					c.Files = proxy.Files{}
				}
				c.Files[path] = content
			}
		}
		k.live = k.with(p)
		maps.Copy(k.made.listeners, made.listeners)
		maps.Copy(k.made.pools, made.pools)
	}
	c.Notices = k.untold(now)
	k.told = k.notices(now)
	return c
}

// tryout returns what the newest files of p come to, or says why they cannot be used.
func (k *Keeper) tryout(p part) (terms, error) {
	if err := p.unreadable(k.seen); err != nil {
		return terms{}, err
	}
	files := k.with(p)
	size := 0
	for _, content := range files {
		size += len(content)
	}
	if size > maxFiles {
		return terms{}, fmt.Errorf("the files of certificates would have %d bytes together, more than %d", size, maxFiles)
	}
	return judge(k.spec, p, files, k.made)
}

// with returns the files in use with the newest ones of p in their place.
func (k *Keeper) with(p part) proxy.Files {
	files := maps.Clone(k.live)
	for _, path := range p.paths {
		files[path] = k.seen[path].content
	}
	return files
}

// note remembers err as what is wrong at now, and reports whether that is to be told: it
// has lasted, and is not what was told before.
func (p *problem) note(err error, now time.Time) bool {
	if p.err == nil || p.err.Error() != err.Error() {
		p.err, p.since = err, now
	}
	if now.Sub(p.since) < grace || p.told != nil && p.told.Error() == err.Error() {
		return false
	}
	p.told, p.begun = p.err, p.since
	return true
}
