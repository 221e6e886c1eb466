package upstream

import (
	"math"
	"sync/atomic"
	"time"
)

// forget is how long it takes until what was measured counts for half against what is
// measured now, and until a time that nobody confirms is believed to have halved.
const forget = 10 * time.Second

// latency is a moving average of how long a server takes to answer, that follows a rise
// at once and a fall slowly: who gets slower is spared before the average of the good
// times is used up (peak EWMA). Multiple goroutines may use it at the same time.
type latency struct {
	// packed holds what was measured, in nanoseconds as a float32, and when, in
	// milliseconds since the epoch modulo 2^32, which are 49 days; 0: nothing yet.
	packed atomic.Uint64
}

func (l *latency) observe(now int64, took time.Duration) {
	sample := max(float64(took), 1)
	for {
		old := l.packed.Load()
		value := sample
		if old != 0 {
			was, age := unpack(old, now)
			if was > sample {
				w := math.Exp2(-age / float64(forget))
				// Many samples in no time must not leave it where it was.
				w = min(w, 0.98)
				value = was*w + sample*(1-w)
			}
		}
		if l.packed.CompareAndSwap(old, pack(value, now)) {
			return
		}
	}
}

// at returns how long the server is believed to take at now; 0: nobody knows.
func (l *latency) at(now int64) time.Duration {
	p := l.packed.Load()
	if p == 0 {
		return 0
	}
	value, age := unpack(p, now)
	return time.Duration(max(value*float64(forget)/(float64(forget)+age), 1))
}

func pack(value float64, now int64) uint64 {
	return uint64(math.Float32bits(float32(value)))<<32 | uint64(uint32(now/int64(time.Millisecond)))
}

// unpack returns what was measured and how long before now, in nanoseconds. The age is
// a difference modulo 2^32 ms, so that it holds however long the process has run.
func unpack(p uint64, now int64) (value, age float64) {
	ms := int32(uint32(now/int64(time.Millisecond)) - uint32(p))
	return float64(math.Float32frombits(uint32(p >> 32))), float64(max(ms, 0)) * float64(time.Millisecond)
}
