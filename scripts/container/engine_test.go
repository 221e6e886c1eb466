// Package container tests the image, and what docs/container.md and compose.yaml say of
// it, with podman. Everything happens in network namespaces of the test's own.
package container

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/labtest"
)

const (
	image    = "localhost/tandem"
	patience = 30 * time.Second // for what must happen at all
)

// conf has podman raise no limit, which not every host permits, and need no service
// manager.
const conf = `[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[network]
network_backend = "netavark"
network_config_dir = %q
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
`

// engine is podman with containers, images and networks of its own.
type engine struct {
	t      *testing.T
	env    []string
	root   []string // its global options
	binary string   // the program that is in the image
}

// newEngine skips the test, or fails it where CI is to have everything.
func newEngine(t *testing.T) *engine {
	t.Helper()
	missing := func(format string, args ...any) {
		t.Helper()
		if os.Getenv("CI") == "true" {
			t.Fatalf(format, args...)
		}
		t.Skipf(format, args...)
	}
	if os.Geteuid() != 0 {
		missing("needs root")
	}
	for _, program := range []string{"podman", "runc", "iptables", "nsenter"} {
		if _, err := exec.LookPath(program); err != nil {
			missing("needs %s: %v", program, err)
		}
	}
	// Not t.TempDir: what is mounted below must be gone before it is removed.
	dir, err := os.MkdirTemp("/var/tmp", "tandem-container-")
	if err != nil {
		t.Fatal(err)
	}
	networks := filepath.Join(dir, "networks")
	if err := os.WriteFile(filepath.Join(dir, "containers.conf"), fmt.Appendf(nil, conf, networks), 0o644); err != nil {
		t.Fatal(err)
	}
	e := &engine{
		t: t, env: append(os.Environ(), "CONTAINERS_CONF="+filepath.Join(dir, "containers.conf")),
		root:   []string{"--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--tmpdir", filepath.Join(dir, "tmp")},
		binary: filepath.Join(dir, "context", "bin", "tandem"),
	}
	t.Cleanup(func() {
		if _, err := e.try(nil, "rm", "--all", "--force", "--time", "0"); err != nil {
			t.Error(err)
		}
		if _, err := e.try(nil, "rmi", "--all", "--force"); err != nil {
			t.Error(err)
		}
		if out, err := exec.Command("rm", "-rf", "--one-file-system", dir).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	e.build(filepath.Join(dir, "context"))
	return e
}

// build makes the image as scripts/container/build does, of a program of its own.
func (e *engine) build(context string) {
	e.t.Helper()
	program := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.version=container-test", "-o", e.binary, "./cmd/tandem")
	program.Dir, program.Env = "../..", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := program.CombinedOutput(); err != nil {
		e.t.Fatalf("%v\n%s", err, out)
	}
	for path, to := range map[string]string{"../../Dockerfile": "Dockerfile", "../../.dockerignore": ".dockerignore", "image": "scripts/container/image"} {
		to = filepath.Join(context, to)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			e.t.Fatal(err)
		}
		if out, err := exec.Command("cp", "-r", path, to).CombinedOutput(); err != nil {
			e.t.Fatalf("%v\n%s", err, out)
		}
	}
	e.run(nil, "build", "--format", "docker", "--target", "binary", "--build-arg", "VERSION=container-test", "-t", image, context)
}

// command is podman with args.
func (e *engine) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "podman", slices.Concat(e.root, args)...)
	cmd.Env = e.env
	return cmd
}

// try runs podman, on the host of a lab unless that is nil, and returns what it printed.
func (e *engine) try(on *lab.Host, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := e.command(ctx, args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	run := cmd.Run
	if on != nil {
		run = func() error { return on.Do(cmd.Run) }
	}
	err := run()
	if err != nil {
		err = fmt.Errorf("podman %s: %w\n%s", strings.Join(args, " "), err, said.String())
	}
	return strings.TrimSpace(out.String()), err
}

func (e *engine) run(on *lab.Host, args ...string) string {
	e.t.Helper()
	out, err := e.try(on, args...)
	if err != nil {
		e.t.Fatal(err)
	}
	return out
}

// log returns what a container has written.
func (e *engine) log(name string) string {
	out, err := e.command(context.Background(), "logs", name).CombinedOutput()
	if err != nil {
		return err.Error()
	}
	return string(out)
}

// status asks the node in a container.
func (e *engine) status(name string) (*admin.Status, error) {
	out, err := e.try(nil, "exec", name, "tandem", "status", "--json")
	if err != nil {
		return nil, err
	}
	return parseStatus(out)
}

// pid returns the first process of a container; 0 when it does not run.
func (e *engine) pid(name string) int {
	e.t.Helper()
	pid, err := strconv.Atoi(e.run(nil, "inspect", "--format", "{{.State.Pid}}", name))
	if err != nil {
		e.t.Fatal(err)
	}
	return pid
}

// eventually waits until ok, which also says what it sees.
func eventually(t *testing.T, what string, ok func() (bool, string)) {
	t.Helper()
	labtest.Eventually(t, patience, what, ok)
}
