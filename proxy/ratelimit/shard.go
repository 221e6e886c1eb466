package ratelimit

import "sync"

// ways is how many buckets there are in a set. A key has its place in either of two
// sets, wherever there is more room, so that they fill up evenly.
const ways = 8

// bucket is the bucket of a key. The zero bucket is full, like one whose time has come.
type bucket struct {
	hash uint64 // of the key
	full int64  // when it is full again, in nanoseconds from the epoch of the limiter
}

type set [ways]bucket

// shard is a part of the buckets.
type shard struct {
	mu   sync.Mutex
	sets []set // a power of two of them, or none yet; they grow as they are needed
	most int   // sets

	_ [24]byte // shards do not share lines of the cache
}

// allow takes a token for the key with that hash. lost is how many buckets that were
// not full had to be forgotten, which may be its own.
func (s *shard) allow(l *Limiter, hash uint64, at int64) (ok bool, wait int64, lost int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.find(hash, at)
	for b == nil || b.hash != hash && b.full > at && len(s.sets) < s.most {
		lost += s.grow(at)
		b = s.find(hash, at)
	}
	if b.hash == hash {
		b.full, wait = l.take(b.full, at)
		return wait == 0, wait, lost
	}
	next, _ := l.take(at, at)
	if b.full > at {
		lost++
	}
	// The one that is full first gives way: it may be the new one.
	if b.full <= next {
		*b = bucket{hash, next}
	}
	return true, 0, lost
}

// find returns the bucket of hash, or else where it is to be: a bucket that is full, of
// the set that has more of them, or the one that will be first. It is nil if there are
// no sets.
func (s *shard) find(hash uint64, at int64) *bucket {
	if len(s.sets) == 0 {
		return nil
	}
	mask := uint64(len(s.sets) - 1)
	var place *bucket
	most := 0 // full buckets in the set of place
	for _, i := range [2]uint64{hash & mask, hash >> 30 & mask} {
		var first *bucket
		full := 0
		for k := range s.sets[i] {
			b := &s.sets[i][k]
			if b.hash == hash {
				return b
			}
			if b.full <= at {
				full++
			}
			if first == nil || b.full < first.full {
				first = b
			}
		}
		if place == nil || full > most || full == most && first.full < place.full {
			place, most = first, full
		}
	}
	return place
}

// grow doubles the sets, and again until all buckets have a place in them.
func (s *shard) grow(at int64) (lost int) {
	old := s.sets
	for n := max(2*len(old), 2); ; n *= 2 {
		s.sets = make([]set, n)
		if lost = s.take(old, at); lost == 0 || n >= s.most {
			return lost
		}
	}
}

// take takes over the buckets of old sets, and returns how many were lost for want of
// room.
func (s *shard) take(old []set, at int64) (lost int) {
	for i := range old {
		for _, b := range old[i] {
			if b.full <= at {
				continue
			}
			to := s.find(b.hash, at)
			if to.full > at {
				lost++
			}
			if to.full < b.full {
				*to = b
			}
		}
	}
	return lost
}
