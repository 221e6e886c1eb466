package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/tandemlb/tandem/scripts/bench/side"
	"github.com/tandemlb/tandem/scripts/bench/web"
)

// tandem starts the binary as a proxy that stands alone, which takes no privilege.
type tandem struct {
	binary    string
	accessLog bool // whether it knows the key for one
}

// newTandem asks the binary whether it knows of an access log, which is younger than
// this bench.
func newTandem(binary string) (t *tandem, err error) {
	f, err := os.CreateTemp("", "bench-http-*.yaml")
	if err != nil {
		return nil, fmt.Errorf("make a config to be checked: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = f.WriteString(tandemConfig(site{listen: "127.0.0.1:8080", backend: "127.0.0.1:8081"}, true, ""))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("write a config to be checked: %w", err)
	}
	err = exec.Command(binary, "check", "-c", f.Name()).Run()
	if refused := (*exec.ExitError)(nil); err != nil && !errors.As(err, &refused) {
		return nil, fmt.Errorf("check a config with %s: %w", binary, err)
	}
	return &tandem{binary: binary, accessLog: err == nil}, nil
}

// writesAccess reports whether an instance writes down, within two seconds, the request
// that it answered when it began. That a config may ask for a log is no proof of it.
func (i *instance) writesAccess(ctx context.Context) (bool, error) {
	for range 20 {
		text, err := os.ReadFile(i.path("log"))
		if err != nil {
			return false, fmt.Errorf("look for an access log: %w", err)
		}
		if bytes.Contains(text, []byte(web.Small)) {
			return true, nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return false, err
		}
	}
	return false, nil
}

// tandemConfig is Tandem with what the others have. another is a second listener,
// for a reload that changes something.
func tandemConfig(s site, accessLog bool, another string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "listeners:\n  web: {bind: %q, pool: web}\n", s.listen)
	if another != "" {
		fmt.Fprintf(&b, "  another: {bind: %q, pool: web}\n", another)
	}
	fmt.Fprintf(&b, "pools:\n  web: {servers: [%q]}\n", s.backend)
	fmt.Fprintf(&b, "admin: {socket: %q}\n", s.path("admin.sock"))
	if accessLog {
		b.WriteString("log: {access: true}\n")
	}
	return b.String()
}

// configure writes the config of an instance.
func (t *tandem) configure(s site, another string) error {
	if err := os.WriteFile(s.path("tandem.yaml"), []byte(tandemConfig(s, t.accessLog, another)), 0o644); err != nil {
		return fmt.Errorf("write config: %w", err)
	}
	return nil
}

func (t *tandem) start(ctx context.Context, s site) (*instance, error) {
	if err := t.configure(s, ""); err != nil {
		return nil, err
	}
	cmd := exec.Command(t.binary, "run", "-c", s.path("tandem.yaml"))
	// The worker inherits it, and has one loop for each.
	cmd.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", s.threads), "STATE_DIRECTORY="+s.path("state"))
	p, err := launch(cmd, s.path("log"))
	if err != nil {
		return nil, err
	}
	if err := ready(ctx, s, p); err != nil {
		return nil, err
	}
	i := &instance{site: s, main: p}
	if err := t.sortProcesses(i); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return i, nil
}

// sortProcesses finds out which of the instance's processes is the worker.
func (t *tandem) sortProcesses(i *instance) error {
	worker, err := side.Tandem(t.binary)(filepath.Dir(i.path("admin.sock")), i.main.pid())
	if err != nil {
		return err
	}
	tree, err := family(i.main.pid())
	if err != nil {
		return err
	}
	i.proxies = []int{worker}
	for _, m := range tree {
		if m.pid != worker {
			i.others = append(i.others, m.pid)
		}
	}
	return nil
}
