// Package resolve keeps the answers of DNS to the names of a config up to date. It
// asks again by the TTL of each answer, and keeps the last good one for as long as
// there is no other: a pool does not lose its servers to a failure of DNS.
package resolve

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/tandemlb/tandem/internal/roster"
)

const (
	// atOnce bounds the questions in flight.
	atOnce = 16
	// patience bounds one question with all its retries, over all nameservers.
	patience = 20 * time.Second
)

// Options configures a Resolver.
type Options struct {
	ResolvConf string // path; empty: /etc/resolv.conf; read for every question
	Hosts      string // path; empty: /etc/hosts
	// Changed is called when answers are different from before. It must not block.
	Changed func()
}

// Resolver answers from what it has asked before. Multiple goroutines may use it at
// the same time.
type Resolver struct {
	o    Options
	look func(ctx context.Context, name string) result

	wake chan struct{} // capacity 1: there is something to do
	news chan struct{} // closed, and made anew, when a question has ended

	mu      sync.Mutex
	records map[string]*record
}

// New returns a Resolver, which asks nothing before Run.
func New(o Options) *Resolver {
	if o.ResolvConf == "" {
		o.ResolvConf = "/etc/resolv.conf"
	}
	if o.Hosts == "" {
		o.Hosts = "/etc/hosts"
	}
	r := &Resolver{o: o, wake: make(chan struct{}, 1), news: make(chan struct{}), records: make(map[string]*record)}
	r.look = func(ctx context.Context, name string) result { return lookup(ctx, r.o, name) }
	return r
}

// Want makes names the ones that are asked for: HOST:PORT, or those of SRV records.
// What is known of the others is forgotten.
func (r *Resolver) Want(names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.records
	r.records = make(map[string]*record, len(names))
	for _, name := range names {
		if r.records[name] = old[name]; r.records[name] == nil {
			r.records[name] = &record{}
		}
	}
	r.poke()
}

// Hint says that what name stands for cannot be reached: it is asked for again
// before its time, though not more often than once a second.
func (r *Resolver) Hint(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rec := r.records[name]; rec != nil && rec.asked {
		rec.hint(time.Now())
		r.poke()
	}
}

func (r *Resolver) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Answers returns what is known of each name that is wanted.
func (r *Resolver) Answers() map[string]roster.Answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[string]roster.Answer, len(r.records))
	for name, rec := range r.records {
		all[name] = rec.answer
	}
	return all
}

// Settled waits until each name that is wanted has been asked for once, well or
// not, or until ctx ends; it reports which of the two.
func (r *Resolver) Settled(ctx context.Context) bool {
	for {
		r.mu.Lock()
		news, open := r.news, false
		for _, rec := range r.records {
			open = open || !rec.asked
		}
		r.mu.Unlock()
		if !open {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-news:
		}
	}
}

// Run asks until ctx ends; then it waits for what it has begun, and returns nil.
func (r *Resolver) Run(ctx context.Context) error {
	var asking sync.WaitGroup
	defer asking.Wait()
	slots := make(chan struct{}, atOnce)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-r.wake:
		}
		due, next := r.due(time.Now(), cap(slots)-len(slots))
		for name, rec := range due {
			slots <- struct{}{}
			asking.Go(func() {
				limited, cancel := context.WithTimeout(ctx, patience)
				defer cancel()
				got := r.look(limited, name)
				<-slots
				if ctx.Err() == nil {
					r.absorb(name, rec, got)
				}
			})
		}
		timer.Reset(next)
	}
}

// due returns up to most records to ask for now, marked so, and when to look again
// unless a question ends before.
func (r *Resolver) due(now time.Time, most int) (map[string]*record, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	due := make(map[string]*record)
	next := time.Hour
	for name, rec := range r.records {
		switch wait := rec.due.Sub(now); {
		case rec.asking:
		case wait > 0:
			next = min(next, wait)
		case len(due) < most:
			rec.asking = true
			due[name] = rec
		}
	}
	return due, next
}

func (r *Resolver) absorb(name string, rec *record, got result) {
	r.mu.Lock()
	before := rec.answer
	rec.absorb(time.Now(), got, rand.Float64())
	changed := r.records[name] == rec && (before.Err != rec.answer.Err || !same(before.Targets, rec.answer.Targets))
	close(r.news)
	r.news = make(chan struct{})
	r.poke()
	r.mu.Unlock()
	if changed && r.o.Changed != nil {
		r.o.Changed()
	}
}

// same reports whether two answers have the same targets, in any order: servers
// rotate them.
func same(a, b []roster.Target) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(t roster.Target) bool { return !slices.Contains(b, t) })
}
