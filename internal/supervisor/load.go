package supervisor

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tandemlb/tandem/internal/config"
	"github.com/tandemlb/tandem/internal/place"
)

// loadTimeout bounds the time to read the config and the files that it names.
const loadTimeout = 10 * time.Second

// load reads the config file, and the files that it names, and judges them on this
// host. Nothing is changed. before, which may be nil, is what is in force.
func load(o Options, generation uint64, before *loaded) (*loaded, error) {
	src, err := os.ReadFile(o.ConfigPath)
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	cfg, err := config.Parse(o.ConfigPath, src)
	if err != nil {
		return nil, err
	}
	host, err := place.Interfaces()
	if err != nil {
		return nil, err
	}
	self, err := cfg.Local(o.Node, place.Addresses(host))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.ConfigPath, err)
	}
	r, err := place.Routers(cfg, self, host)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.ConfigPath, err)
	}
	files, err := loadFiles(cfg, before)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.ConfigPath, err)
	}
	return &loaded{config: cfg, files: files, hash: cfg.Hash(), self: self, routers: r, generation: generation, at: time.Now()}, nil
}

// loader is load for a node that serves. It does not wait for a file that cannot be read
// to an end (a server of files that is gone), which nothing can interrupt: what it has
// begun goes on without it, and nothing else is begun meanwhile.
type loader struct {
	within time.Duration   // 0: loadTimeout
	stopC  <-chan struct{} // closed when the node is to stop; nil: never
	busy   chan struct{}   // closed when the newest load is over; nil: there was none
}

func (r *loader) load(o Options, generation uint64, before *loaded) (*loaded, error) {
	const hint = "(hint: a network file system that does not answer)"
	if r.busy != nil {
		select {
		case <-r.busy:
		default:
			return nil, errors.New("read config: an earlier reload has not read its files yet " + hint)
		}
	}
	within := r.within
	if within == 0 {
		within = loadTimeout
	}
	var l *loaded
	var err error
	busy := make(chan struct{})
	r.busy = busy
	go func() {
		defer close(busy)
		l, err = load(o, generation, before)
	}()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-busy:
		return l, err
	case <-r.stopC:
		return nil, errors.New("read config: the node is stopping")
	case <-timer.C:
		return nil, fmt.Errorf("read config: the files are not read within %v %s", within, hint)
	}
}
