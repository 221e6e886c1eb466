// Package ratelimit bounds how often something happens, for each of many keys, by a
// bucket of tokens for each: it holds a burst, is filled at a steady rate, and whoever
// finds it empty is refused and told when to come back.
//
// A bucket is a single number, the time at which it will be full again (known as the
// generic cell rate algorithm, ITU-T I.371, where it is the theoretical arrival time).
// A bucket that is full is as good as one that was never used, and need not be kept.
package ratelimit

import (
	"hash/maphash"
	"math"
	"math/bits"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/tandemlb/tandem/proxy"
)

// DefaultKeys is how many keys a Limiter keeps apart unless it is told otherwise. They
// take 1 MiB, once there are that many.
const DefaultKeys = 64 << 10

// shards is how many locks the keys are spread over.
const shards = 16

// A Limiter holds the buckets of one limit. Multiple goroutines may use it at the same
// time; only those whose keys fall into the same sixteenth share a lock, and only while
// two lines of memory are looked at.
//
// Its memory is bounded. When it has to forget a bucket, it is the one, of sixteen,
// that will be full first: a flood of new keys, which have taken one token each, drives
// out its own kind before those that have used up their burst.
type Limiter struct {
	limit    proxy.RateLimit
	interval int64 // in which a token comes, in nanoseconds
	slack    int64 // how far ahead of now the time of a bucket may be, for another token
	epoch    time.Time
	seed     maphash.Seed

	unnamed   atomic.Int64 // the bucket of the empty key
	forgotten atomic.Uint64
	shards    [shards]shard
}

// New returns a limiter for limit, whose Requests, Per and Burst must be positive, that
// keeps at most so many keys apart, rounded up; 0 stands for DefaultKeys. The seed is
// what keeps clients from choosing keys that meet. No later time may be before epoch.
func New(limit proxy.RateLimit, keys int, seed maphash.Seed, epoch time.Time) *Limiter {
	if keys <= 0 {
		keys = DefaultKeys
	}
	// Rounded up, so that the rate is never exceeded.
	interval := (int64(limit.Per) + int64(limit.Requests) - 1) / int64(limit.Requests)
	l := &Limiter{limit: limit, interval: interval, epoch: epoch, seed: seed}
	high, slack := bits.Mul64(uint64(interval), uint64(limit.Burst-1))
	if l.slack = int64(slack); high > 0 || slack > math.MaxInt64/4 {
		l.slack = math.MaxInt64 / 4 // seventy years: nobody waits for it to be full
	}
	sets := 1 << bits.Len(uint((keys-1)/(shards*ways))) // a power of two, at least as many
	for i := range l.shards {
		l.shards[i].most = max(sets, 2)
	}
	return l
}

// Limit returns what the limiter was made for. One with an equal limit can go on in its
// place, with the tokens that were taken.
func (l *Limiter) Limit() proxy.RateLimit { return l.limit }

// Forgotten returns how many buckets that were not full have been forgotten for want
// of room.
func (l *Limiter) Forgotten() uint64 { return l.forgotten.Load() }

// Allow takes a token from the bucket of key, if there is one. Else it returns how long
// it takes until there is. The empty key, for a limit that all share, takes no lock.
func (l *Limiter) Allow(now time.Time, key []byte) (ok bool, retryAfter time.Duration) {
	at := max(int64(now.Sub(l.epoch)), 0)
	if len(key) == 0 {
		return l.allowUnnamed(at)
	}
	hash := maphash.Bytes(l.seed, key)
	ok, wait, lost := l.shards[hash%shards].allow(l, hash/shards, at)
	if lost > 0 {
		l.forgotten.Add(uint64(lost))
	}
	return ok, time.Duration(wait)
}

func (l *Limiter) allowUnnamed(at int64) (ok bool, retryAfter time.Duration) {
	for {
		full := l.unnamed.Load()
		next, wait := l.take(full, at)
		if wait > 0 {
			return false, time.Duration(wait)
		}
		if l.unnamed.CompareAndSwap(full, next) {
			return true, 0
		}
	}
}

// take takes a token, at a time, from a bucket that is full at another. It returns
// when the bucket is full then, or how long a token takes to come.
func (l *Limiter) take(full, at int64) (next, wait int64) {
	if wait = full - at - l.slack; wait > 0 {
		return full, wait
	}
	return max(full, at) + l.interval, 0
}

// AppendClient appends a key for the client at addr. One with IPv6 is known by the
// first 64 bits, since it has all the addresses of a subnet to choose from (RFC 6177).
func AppendClient(dst []byte, addr netip.Addr) []byte {
	if addr = addr.Unmap(); addr.Is4() {
		b := addr.As4()
		return append(dst, b[:]...)
	}
	b := addr.As16()
	return append(dst, b[:8]...)
}
