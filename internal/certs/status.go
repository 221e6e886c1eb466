package certs

import (
	"fmt"
	"time"

	"github.com/tandemlb/tandem/proxy/secure"
)

// soon is how long before a certificate expires that is said.
const soon = 30 * 24 * time.Hour

// Notice is something about a file that an operator should know, and that stops nothing.
type Notice struct {
	Listener string // that uses it; empty: a pool does
	Pool     string
	Path     string
	Text     string
}

// String returns the notice as a sentence about the file.
func (n Notice) String() string { return fmt.Sprintf("%s: %s: %s", n.user(), n.Path, n.Text) }

func (n Notice) user() string {
	if n.Listener == "" {
		return fmt.Sprintf("pool %q", n.Pool)
	}
	return fmt.Sprintf("listener %q", n.Listener)
}

// Certificate is one that is in use, and what there is to say of it.
type Certificate struct {
	secure.Info
	Listener string // that shows it; empty: a pool does
	Pool     string
	Warnings []string
}

// Problem is why changed files that belong together are not in use.
type Problem struct {
	Paths []string
	Err   error
	Since time.Time // when they were seen first
}

// List is a list of revoked certificates that is in use.
type List struct {
	secure.List
	Listener string // whose clients are judged by it
}

// Status is what there is to say of the files of a keeper.
type Status struct {
	Counts
	Certificates []Certificate // that are in use, in the order of the config
	Lists        []List        // that are in use, in the order of the config
	Problems     []Problem     // why files that have changed are not in use
	Notices      []Notice      // what is to be known of those in use
}

// Status returns what there is to say at now.
func (k *Keeper) Status(now time.Time) Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	st := Status{Counts: k.counts, Problems: k.refused(now), Notices: k.notices(now)}
	add := func(listener, pool string, of agreed) {
		if of.Terms == nil {
			return
		}
		for _, info := range of.certificates {
			c := Certificate{Info: info, Listener: listener, Pool: pool}
			for _, n := range st.Notices {
				if n.Listener == listener && n.Pool == pool && n.Path == info.Path {
					c.Warnings = append(c.Warnings, n.Text)
				}
			}
			st.Certificates = append(st.Certificates, c)
		}
		for _, l := range of.Lists() {
			st.Lists = append(st.Lists, List{List: l, Listener: listener})
		}
	}
	for i, l := range k.spec.Listeners {
		add(l.Name, "", k.made.listeners[i])
	}
	for i, p := range k.spec.Pools {
		add("", p.Name, k.made.pools[i])
	}
	return st
}

// patience is how long a file may take to be read before that is a problem.
const patience = 10 * time.Second

// refused returns why files that have changed are not in use.
func (k *Keeper) refused(now time.Time) []Problem {
	var all []Problem
	if took := now.Sub(k.readingSince); k.reading != "" && took > patience {
		all = append(all, Problem{Paths: []string{k.reading}, Since: k.readingSince, Err: fmt.Errorf(
			"reading it has taken %v so far, and no file is looked at meanwhile (hint: a network file system that does not answer)", took.Round(time.Second))})
	}
	for i, p := range k.problems {
		if p.told != nil {
			all = append(all, Problem{Paths: k.parts[i].paths, Err: p.told, Since: p.begun})
		}
	}
	return all
}

func (k *Keeper) notices(now time.Time) []Notice {
	var all []Notice
	add := func(listener, pool string, of agreed) {
		if of.Terms == nil {
			return
		}
		for _, w := range of.Warnings(now) {
			all = append(all, Notice{Listener: listener, Pool: pool, Path: w.Path, Text: w.Text})
		}
		for _, c := range of.certificates {
			if left := c.NotAfter.Sub(now); left > 0 && left < soon {
				all = append(all, Notice{Listener: listener, Pool: pool, Path: c.Path, Text: expires(left, c.NotAfter)})
			}
		}
	}
	exposed := func(listener, pool, cert, key string) {
		if k.seen[key].open {
			all = append(all, Notice{Listener: listener, Pool: pool, Path: cert, Text: fmt.Sprintf("every user of this host can read its private key (hint: chmod o-rwx %s)", key)})
		}
	}
	for i, l := range k.spec.Listeners {
		if l.TLS == nil {
			continue
		}
		add(l.Name, "", k.made.listeners[i])
		for _, c := range l.TLS.Certificates {
			exposed(l.Name, "", c.Cert, c.Key)
		}
	}
	for i, p := range k.spec.Pools {
		if p.TLS == nil || p.TLS.Key == "" {
			continue
		}
		add("", p.Name, k.made.pools[i])
		exposed("", p.Name, p.TLS.Cert, p.TLS.Key)
	}
	return all
}

// expires says when a certificate does that is good for another while.
func expires(left time.Duration, at time.Time) string {
	const day = 24 * time.Hour
	when := at.UTC().Format("2006-01-02 15:04 MST")
	switch {
	case left < day:
		return fmt.Sprintf("the certificate expires within a day, at %s", when)
	case left < 2*day:
		return fmt.Sprintf("the certificate expires in 1 day, at %s", when)
	}
	return fmt.Sprintf("the certificate expires in %d days, at %s", left/day, when)
}
