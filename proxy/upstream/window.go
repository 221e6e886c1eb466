package upstream

import "sync/atomic"

// windowParts is into how many parts the window of a breaker is divided; the oldest
// part leaves it at once.
const windowParts = 10

// window counts results over a stretch of time that moves. Multiple goroutines may use
// it at the same time; what is counted while a part changes hands may be lost.
type window struct {
	parts [windowParts]windowPart
}

type windowPart struct {
	number     atomic.Int64 // of the part since the epoch, plus one
	all, wrong atomic.Uint32
}

// count counts a result at now, in ns since the epoch, in a window of length.
func (w *window) count(now, length int64, failed bool) {
	number := now/(length/windowParts) + 1
	p := &w.parts[number%windowParts]
	if old := p.number.Load(); old != number && p.number.CompareAndSwap(old, number) {
		p.all.Store(0)
		p.wrong.Store(0)
	}
	p.all.Add(1)
	if failed {
		p.wrong.Add(1)
	}
}

// sum returns what was counted in the window that ends at now.
func (w *window) sum(now, length int64) (all, wrong int) {
	newest := now/(length/windowParts) + 1
	for i := range w.parts {
		p := &w.parts[i]
		if n := p.number.Load(); n > max(0, newest-windowParts) && n <= newest {
			all += int(p.all.Load())
			wrong += int(p.wrong.Load())
		}
	}
	return all, wrong
}

func (w *window) reset() {
	for i := range w.parts {
		w.parts[i].number.Store(0)
	}
}
