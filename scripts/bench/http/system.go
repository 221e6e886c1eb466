package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/scripts/bench/web"
)

// A system is a proxy to compare, in one way of running it.
type system struct {
	// haproxy, nginx, tandem; with -2 at the end: on two threads. haproxy-always
	// shares its connections to the server with http-reuse always.
	name    string
	threads int
	version func() (string, error)
	start   func(ctx context.Context, s site) (*instance, error)
	only    []string // the scenarios in which it differs from another; none: all
}

// in reports whether the system is measured in the scenario.
func (s system) in(scenario string) bool {
	return len(s.only) == 0 || slices.Contains(s.only, scenario)
}

// A site is what an instance of a system is to be: its values go into the config.
type site struct {
	dir     string // its own, for config, log and sockets
	listen  string // address and port
	backend string // address and port
	threads int
	files   int // descriptors a process may have
}

func (s site) path(name string) string { return filepath.Join(s.dir, name) }

// An instance is a system that runs.
type instance struct {
	site
	main    *process
	proxies []int // the processes that clients' bytes go through
	others  []int // the rest of its processes
}

// systems returns all that can be compared; t may be nil.
func systems(t *tandem) []system {
	list := []system{
		{name: "haproxy", threads: 1, version: versionOf("haproxy", "-v"), start: haproxy{"safe"}.start},
		{name: "haproxy-always", threads: 1, version: versionOf("haproxy", "-v"), start: haproxy{"always"}.start, only: []string{closeName}},
		{name: "haproxy-2", threads: 2, version: versionOf("haproxy", "-v"), start: haproxy{"safe"}.start},
		{name: "nginx", threads: 1, version: versionOf("nginx", "-v"), start: startNginx},
	}
	if t != nil {
		list = append(list,
			system{name: "tandem", threads: 1, version: versionOf(t.binary, "version"), start: t.start},
			system{name: "tandem-2", threads: 2, version: versionOf(t.binary, "version"), start: t.start})
	}
	return list
}

// choose returns the systems that a comma-separated list names, in the order of all.
func choose(all []system, names string) ([]system, error) {
	var known []string
	for _, s := range all {
		known = append(known, s.name)
	}
	wanted := strings.Split(names, ",")
	for _, name := range wanted {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("-systems %q: %q is none of %s", names, name, strings.Join(known, ", "))
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(s system) bool { return !slices.Contains(wanted, s.name) }), nil
}

func versionOf(command, flag string) func() (string, error) {
	return func() (string, error) {
		out, err := exec.Command(command, flag).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("ask %s for its version: %w (hint: scripts/bench/http.sh installs what is missing)", command, err)
		}
		first, _, _ := strings.Cut(string(out), "\n")
		return strings.TrimSpace(first), nil
	}
}

// startWithin is how long a system may take until it answers.
const startWithin = 10 * time.Second

// begin starts an instance of the system before the backend, in a folder of its own
// inside dir, and waits until it answers. stop ends it.
func (s system) begin(ctx context.Context, dir, backend string, files int) (*instance, error) {
	own, err := os.MkdirTemp(dir, s.name+"-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for %s: %w", s.name, err)
	}
	listen, err := freePort()
	if err != nil {
		return nil, err
	}
	i, err := s.start(ctx, site{dir: own, listen: listen, backend: backend, threads: s.threads, files: files})
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s.name, err)
	}
	return i, nil
}

// stop ends the instance and removes its folder: the logs of a few seconds are some
// hundred megabytes.
func (i *instance) stop() error {
	return errors.Join(i.main.stop(), os.RemoveAll(i.dir))
}

// ready waits until the instance answers through to the backend. When it does not,
// the end of its log is in the error.
func ready(ctx context.Context, s site, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		err := ask(s.listen)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			err = errors.New("it ended at once")
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
			continue
		}
		text, readErr := os.ReadFile(s.path("log"))
		return errors.Join(fmt.Errorf("wait for an answer on %s: %w: %s", s.listen, err, text[max(0, len(text)-2000):]), readErr, p.stop())
	}
}

// ask makes one request, over a connection of its own.
func ask(address string) error {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	return web.Get(c, make([]byte, 4<<10))
}

// freePort returns a loopback address with a port that nobody listens on. It may be
// taken until it is used, but nobody is expected to.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}
