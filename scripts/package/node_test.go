package packages

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/failover"
)

const (
	bootWithin  = 60 * time.Second // a Debian with systemd, on a busy machine
	actWithin   = 60 * time.Second // what an operator does on it
	lookAgainIn = 20 * time.Millisecond
)

// node is a host of a lab, on which systemd runs: a container of systemd-nspawn.
type node struct {
	t      *testing.T
	host   *lab.Host
	root   string        // of its file system, which outlives a boot
	nspawn *lab.Process  // nil while it is off
	log    *bytes.Buffer // of its console; to be read when nspawn has ended
}

// newNode makes a node that is off. Its file system is a layer over base.
func newNode(t *testing.T, host *lab.Host, base string) *node {
	t.Helper()
	n := &node{t: t, host: host, root: layer(t, base)}
	t.Cleanup(func() { // before its layer is unmounted
		n.kill()
		n.removeGroups()
	})
	return n
}

// start is what becomes systemd-nspawn, in control groups of its own: two containers
// in the same would end each other's services. Arguments: name, root.
const start = `
for h in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
	if [ -e $h/cgroup.procs ]; then mkdir -p $h/tandem-test-$1 && echo $$ >$h/tandem-test-$1/cgroup.procs; fi
done
exec systemd-nspawn --quiet --register=no --keep-unit --machine="$1" --network-namespace-path=/proc/self/ns/net \
	--capability=CAP_NET_ADMIN,CAP_NET_RAW,CAP_IPC_LOCK --resolv-conf=off --timezone=off --boot --directory="$2"`

// name is what the node is called on this host.
func (n *node) name() string { return fmt.Sprintf("%s-%d", n.host.Name(), os.Getpid()) }

// removeGroups removes the control groups of the node, those inside first.
func (n *node) removeGroups() {
	for _, h := range []string{"", "systemd", "unified"} {
		var all []string
		_ = filepath.WalkDir(filepath.Join("/sys/fs/cgroup", h, "tandem-test-"+n.name()), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				all = append(all, path)
			}
			return nil // there may be none
		})
		for _, path := range slices.Backward(all) {
			_ = os.Remove(path) // left to the next boot of this host if somebody is in it
		}
	}
}

// boot turns the node on, and waits until systemd has started what it has to.
func (n *node) boot() {
	n.t.Helper()
	n.log = new(bytes.Buffer)
	cmd := exec.Command("sh", "-c", start, "sh", n.name(), n.root)
	cmd.Stdout, cmd.Stderr = n.log, n.log
	p, err := n.host.Start(cmd)
	if err != nil {
		n.t.Fatal(err)
	}
	n.nspawn = p
	n.until(bootWithin, "systemd runs", func() bool {
		select {
		case <-p.Done():
			n.t.Fatalf("%s does not boot: %v\n%s", n.host.Name(), p.Err(), n.log)
		default:
		}
		state, _ := n.try("systemctl", "is-system-running")
		return state == "running" || state == "degraded"
	})
}

// leader is the first process inside, by its number outside; 0: there is none.
func (n *node) leader() int {
	if n.nspawn == nil {
		return 0
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", n.nspawn.PID()))
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	pid, _ := strconv.Atoi(first) // 0 for none
	return pid
}

// try runs a command inside, and returns what it prints.
func (n *node) try(args ...string) (string, error) {
	leader := n.leader()
	if leader <= 1 { // nsenter would stay on this host
		return "", errors.New("the node is off")
	}
	ctx, cancel := context.WithTimeout(n.t.Context(), actWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"--target", strconv.Itoa(leader), "--all"}, args...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "MANPAGER=cat"}
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// do runs a command inside that must succeed.
func (n *node) do(args ...string) string {
	n.t.Helper()
	out, err := n.try(args...)
	if err != nil {
		n.t.Fatalf("%s: %s: %v\n%s", n.host.Name(), strings.Join(args, " "), err, out)
	}
	return out
}

// property is one of the service.
func (n *node) property(name string) string {
	n.t.Helper()
	return n.do("systemctl", "show", "--property="+name, "--value", "tandem.service")
}

// until waits for something to be so.
func (n *node) until(within time.Duration, what string, so func() bool) {
	n.t.Helper()
	ctx, cancel := context.WithTimeoutCause(n.t.Context(), within, fmt.Errorf("not within %v", within))
	defer cancel()
	for !so() {
		if err := failover.Pause(ctx, lookAgainIn); err != nil {
			n.t.Fatalf("%s: %s: %v", n.host.Name(), what, err)
		}
	}
}

// kill takes the node's power away.
func (n *node) kill() {
	if n.nspawn == nil {
		return
	}
	// The kernel ends all others of the container with the first of it.
	if leader := n.leader(); leader > 1 {
		_ = unix.Kill(leader, unix.SIGKILL) // it may have ended
	} else {
		_ = n.nspawn.Kill()
	}
	<-n.nspawn.Done()
	n.nspawn = nil
}

// off waits until the node has turned itself off.
func (n *node) off() {
	n.t.Helper()
	select {
	case <-n.nspawn.Done():
		n.nspawn = nil
	case <-time.After(bootWithin):
		n.t.Fatalf("%s is not off after %v", n.host.Name(), bootWithin)
	}
}

// put writes a file of the node.
func (n *node) put(path, text string, mode os.FileMode) {
	n.t.Helper()
	if err := os.WriteFile(filepath.Join(n.root, path), []byte(text), mode); err != nil {
		n.t.Fatal(err)
	}
}

// exists reports whether the node has a file.
func (n *node) exists(path string) bool {
	_, err := os.Lstat(filepath.Join(n.root, path))
	return err == nil
}

// missing ends a test that needs what is not here: it is skipped, or fails where
// everything is to be tested.
func missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}
