package worker

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/usage"
	"github.com/tandemlb/tandem/proxy/overload"
)

// sampleEvery is how often the use of descriptors and memory is looked at: at 10,000
// new connections a second, 1000 come in between.
const sampleEvery = 100 * time.Millisecond

// pressure watches what the process uses. Multiple goroutines may use it.
type pressure struct {
	log     *zap.Logger
	changed func()
	sample  func() overload.Sample
	sheds   atomic.Bool

	mu     sync.Mutex
	gauge  overload.Gauge
	newest overload.Sample
}

func newPressure(log *zap.Logger, changed func()) *pressure {
	limit := memoryLimit("/sys/fs/cgroup", "/proc/self/cgroup")
	if limit > 0 && os.Getenv("GOMEMLIMIT") == "" {
		// What the collector does not know of, stacks of other processes in the group
		// among it, has the rest.
		debug.SetMemoryLimit(int64(limit / 5 * 4))
	} else if set := debug.SetMemoryLimit(-1); limit == 0 && set < math.MaxInt64 {
		limit = uint64(set)
	}
	return &pressure{log: log, changed: changed, sample: func() overload.Sample { return sampleProcess(limit) }}
}

// overloaded reports whether new work is to be turned away.
func (p *pressure) overloaded() bool { return p.sheds.Load() }

// run samples until ctx ends.
func (p *pressure) run(ctx context.Context) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			p.observe(now, p.sample())
		}
	}
}

func (p *pressure) observe(now time.Time, s overload.Sample) {
	p.mu.Lock()
	p.newest = s
	changed := p.gauge.Observe(now, s)
	st := p.gauge.Status()
	p.mu.Unlock()
	if !changed {
		return
	}
	p.sheds.Store(st.Reason != "")
	if st.Reason != "" {
		p.log.Warn("overloaded: new work is turned away", zap.String("reason", st.Reason))
	} else {
		p.log.Info("not overloaded any more")
	}
	p.changed()
}

func (p *pressure) state() ipc.Overload {
	p.mu.Lock()
	defer p.mu.Unlock()
	st, s := p.gauge.Status(), p.newest
	return ipc.Overload{Reason: st.Reason, Since: st.Since, Count: st.Count,
		Descriptors: s.Descriptors, DescriptorLimit: s.DescriptorLimit, Memory: s.Memory, MemoryLimit: s.MemoryLimit}
}

// sampleProcess looks at this process. What cannot be read counts as nothing used.
func sampleProcess(memoryLimit uint64) overload.Sample {
	return overload.Sample{
		Descriptors: usage.Descriptors(), DescriptorLimit: usage.DescriptorLimit(), Memory: usage.Memory(), MemoryLimit: memoryLimit,
	}
}

// memoryLimit returns the least memory.max of the cgroup of this process and of
// those above it, in bytes; 0: there is none. Only version 2 of cgroups is known.
func memoryLimit(root, self string) uint64 {
	text, err := os.ReadFile(self)
	if err != nil {
		return 0
	}
	group := ""
	for line := range strings.Lines(string(text)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			group = path
		}
	}
	least := uint64(0)
	for dir := filepath.Join("/", group); ; dir = filepath.Dir(dir) {
		if n, err := readLimit(filepath.Join(root, dir, "memory.max")); err == nil && (least == 0 || n < least) {
			least = n
		}
		if dir == "/" {
			return least
		}
	}
}

func readLimit(path string) (uint64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64) // "max" is no number
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", path, err)
	}
	return n, nil
}
