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

// Keeper keeps the files of one config. Multiple goroutines may use it.
type Keeper struct {
	spec  proxy.Spec
	parts []part
	read  func(path string, before reading, now time.Time) reading // but in tests, read

	mu       sync.Mutex
	live     proxy.Files // in use; never written to, another one takes its place
	seen     map[string]reading
	problems []problem // of parts[i], in the same place
	counts   Counts
	made     terms  // of live
	turns    uint64 // how often live was another one
	told     []Notice

	reading      string    // the file that is read; empty: none
	readingSince time.Time // by the clock of the process
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
	k := &Keeper{spec: spec, read: read, parts: partsOf(spec), live: proxy.Files{}, seen: map[string]reading{}}
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
		k.at(path)
		found[path] = k.read(path, r, now)
	}
	k.at("")
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen = found
	for i := range k.parts {
		if k.due(i, now) {
			return true
		}
	}
	return len(k.untold(now)) > 0
}

// at says which file is read from now on.
func (k *Keeper) at(path string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reading, k.readingSince = path, time.Now()
}

// due reports whether Take has something to do about parts[i].
func (k *Keeper) due(i int, now time.Time) bool {
	pr := &k.problems[i]
	if !k.differs(k.parts[i]) {
		return pr.err != nil // it is over
	}
	return !k.judged(i, now) || pr.untold(now)
}

// judged reports whether the newest files of parts[i] have been refused already. They
// are judged again when one of them changes, or those in use beside them.
func (k *Keeper) judged(i int, now time.Time) bool {
	pr := &k.problems[i]
	if pr.err == nil || pr.turn != k.turns || !pr.again.IsZero() && !now.Before(pr.again) {
		return false
	}
	return slices.EqualFunc(pr.of, k.readings(k.parts[i]), reading.same)
}

// readings returns the newest files of p, in the order of its paths.
func (k *Keeper) readings(p part) []reading {
	all := make([]reading, len(p.paths))
	for i, path := range p.paths {
		all[i] = k.seen[path]
	}
	return all
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

	before state
	taken  []int // parts that were taken up
}

// state is what Refused goes back to.
type state struct {
	live     proxy.Files
	made     terms
	problems []problem
}

// Event is what happened to files that belong together.
type Event struct {
	Paths []string
	Err   error // nil: they are in use from now on; else why they are not
	Back  bool  // what was told to be wrong is over: they are again as they are in use
}

// Take takes up what Look has found, as far as it is good. Who calls it hands the files
// over to those who use them, and calls Refused when those do not take them.
func (k *Keeper) Take(now time.Time) Change {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := Change{before: state{k.live, k.made, slices.Clone(k.problems)}}
	k.made = k.made.clone()
	for i, p := range k.parts {
		if !k.differs(p) {
			if k.problems[i].told != nil {
				c.Events = append(c.Events, Event{Paths: p.paths, Back: true})
			}
			k.problems[i] = problem{}
			continue
		}
		made, err := terms{}, k.problems[i].err
		if !k.judged(i, now) {
			made, err = k.tryout(p)
			k.problems[i].of, k.problems[i].turn, k.problems[i].again = k.readings(p), k.turns, time.Time{}
		}
		if err != nil {
			if k.problems[i].note(err, now) {
				k.counts.Errors++
				c.Events = append(c.Events, Event{Paths: p.paths, Err: err})
			}
			continue
		}
		k.problems[i] = problem{}
		k.counts.Reloads++
		c.Events, c.taken = append(c.Events, Event{Paths: p.paths}), append(c.taken, i)
		for _, path := range p.paths {
			if content := k.seen[path].content; !bytes.Equal(content, k.live[path]) {
				if c.Files == nil {
					c.Files = proxy.Files{}
				}
				c.Files[path] = content
			}
		}
		k.live = k.with(p)
		k.turns++
		maps.Copy(k.made.listeners, made.listeners)
		maps.Copy(k.made.pools, made.pools)
	}
	c.Notices = k.untold(now)
	k.told = k.notices(now)
	return c
}

// Refused takes back what c, the newest Take, has taken up, since those who use the files
// do not take them, and returns what is to be told of instead of c's events. The files
// are offered again when they change, and after a while.
func (k *Keeper) Refused(c Change, why error, now time.Time) []Event {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.live, k.made = c.before.live, c.before.made
	k.turns++
	events := slices.DeleteFunc(slices.Clone(c.Events), func(e Event) bool { return e.Err == nil && !e.Back })
	for _, i := range c.taken {
		k.counts.Reloads--
		pr := c.before.problems[i]
		if pr.refuse(why, now) {
			k.counts.Errors++
			events = append(events, Event{Paths: k.parts[i].paths, Err: why})
		}
		pr.of, pr.turn, pr.again = k.readings(k.parts[i]), k.turns, now.Add(offerAgain)
		k.problems[i] = pr
	}
	return events
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
