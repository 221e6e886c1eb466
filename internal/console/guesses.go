package console

import (
	"net/netip"
	"time"

	"github.com/tandemlb/tandem/internal/gate"
)

const (
	guessBurst = 10              // wrong tokens in a row from one address
	guessEvery = 6 * time.Second // and one more in this time
	// guessers is how many addresses are kept apart. When one more guesses, the one
	// whose guesses are soonest forgiven is forgotten.
	guessers = 1024
)

// guesses bounds how many wrong tokens an address may try: each has a bucket, of
// which the time is kept at which it is full again. Not safe for concurrent use.
type guesses struct {
	full map[netip.Prefix]time.Time
}

// wait returns how long the address has to wait before a token of it is looked at;
// 0: not at all.
func (g *guesses) wait(now time.Time, from netip.Addr) time.Duration {
	full, known := g.full[gate.Caller(from)]
	if !known {
		return 0
	}
	return max(0, full.Sub(now)-(guessBurst-1)*guessEvery)
}

// wrong notes that a token of the address was wrong.
func (g *guesses) wrong(now time.Time, from netip.Addr) {
	if g.full == nil {
		g.full = make(map[netip.Prefix]time.Time)
	}
	who := gate.Caller(from)
	full, known := g.full[who]
	if !known && len(g.full) >= guessers {
		g.forget(now)
	}
	if full.Before(now) {
		full = now
	}
	g.full[who] = full.Add(guessEvery)
}

// forget makes room for one.
func (g *guesses) forget(now time.Time) {
	var soonest netip.Prefix
	for who, full := range g.full {
		if full.Before(now) {
			delete(g.full, who)
			continue
		}
		if !soonest.IsValid() || full.Before(g.full[soonest]) {
			soonest = who
		}
	}
	if len(g.full) >= guessers {
		delete(g.full, soonest)
	}
}
