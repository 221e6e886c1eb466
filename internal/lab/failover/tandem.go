package failover

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tandemlb/tandem/internal/lab"
)

// Tandem is a pair of nodes of this program in a scene. Its methods are for one
// goroutine.
type Tandem struct {
	scene  *Scene
	binary string
	dir    string
	nodes  map[string]*lab.Process
}

// NewTandem writes the pair's config into dir, where the nodes will also log.
// They run the program at the path binary.
func NewTandem(scene *Scene, binary, dir, config string) (*Tandem, error) {
	t := &Tandem{scene: scene, binary: binary, dir: dir, nodes: make(map[string]*lab.Process)}
	return t, t.Configure(config)
}

// Configure replaces the pair's config. A node that runs is to be told to reload.
func (t *Tandem) Configure(config string) error {
	if err := os.WriteFile(t.configFile(), []byte(config), 0o644); err != nil {
		return fmt.Errorf("write config: %w", err)
	}
	return nil
}

// Config returns the config of a pair that shares [VIP], for both nodes.
func Config(advertise time.Duration) string {
	return config(vip(advertise))
}

// ConfigOfTwo returns the config of a pair that shares [VIP] and [VIP2], each
// node being preferred for one of them, for both nodes.
func ConfigOfTwo(advertise time.Duration) string {
	return config(
		fmt.Sprintf("one: {addresses: [%s], prefer: %s, advertise: %s}", VIP(), LB1, advertise),
		fmt.Sprintf("two: {addresses: [%s], prefer: %s, advertise: %s}", VIP2(), LB2, advertise))
}

// ConfigOfPool returns the config of a pair that shares [VIP], where the keys of a
// pool other than its servers are text, indented by four.
func ConfigOfPool(advertise time.Duration, pool, text string) string {
	return head(vip(advertise)) + fmt.Sprintf(`listeners:
  web: {bind: ":80", pool: %s}
pools:
  %s:
    servers: ["%s"]
%s`, pool, pool, servers(), text)
}

func vip(advertise time.Duration) string {
	return fmt.Sprintf("main: {addresses: [%s], advertise: %s}", VIP(), advertise)
}

func config(vips ...string) string {
	return head(vips...) + fmt.Sprintf(`listeners:
  web: {bind: ":80", servers: ["%s"], check: GET /}
`, servers())
}

// head is what a config says of nodes and VIPs.
func head(vips ...string) string {
	var nodes []string
	for _, n := range Nodes() {
		nodes = append(nodes, n.Name+": "+n.Addresses[0].Addr().String())
	}
	return fmt.Sprintf("nodes: {%s}\nvips:\n  %s\n", strings.Join(nodes, ", "), strings.Join(vips, "\n  "))
}

// servers lists their addresses, but for the quotes at both ends.
func servers() string {
	var list []string
	for _, s := range Servers() {
		list = append(list, s.Addresses[0].Addr().String()+":80")
	}
	return strings.Join(list, `", "`)
}

func (t *Tandem) configFile() string { return filepath.Join(t.dir, "tandem.yaml") }

// LogFile returns the path of the node's log.
func (t *Tandem) LogFile(node string) string { return filepath.Join(t.dir, node+".log") }

// Socket returns the path of the node's admin socket.
func (t *Tandem) Socket(node string) string { return filepath.Join(t.dir, node+".sock") }

// Start starts a node.
func (t *Tandem) Start(node string) error {
	log, err := os.OpenFile(t.LogFile(node), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open log of %s: %w", node, err)
	}
	defer log.Close() // the node has its own descriptor
	cmd := exec.Command(t.binary, "run", "-c", t.configFile(), "--node", node, "--socket", t.Socket(node))
	cmd.Args[0] = "tandem"
	cmd.Env = append(os.Environ(), "STATE_DIRECTORY="+filepath.Join(t.dir, node+".state"))
	cmd.Stdout, cmd.Stderr = log, log
	t.nodes[node], err = t.scene.Lab.Host(node).Start(cmd)
	return err
}

// Kill kills every process of the node at once.
func (t *Tandem) Kill(node string) error {
	if err := t.nodes[node].Kill(); err != nil {
		return fmt.Errorf("kill %s: %w", node, err)
	}
	<-t.nodes[node].Done()
	return nil
}

// Stop asks the node to stop. It does not wait.
func (t *Tandem) Stop(node string) error { return t.nodes[node].Signal(syscall.SIGTERM) }

// Agent returns the process of the node that takes part in the election.
func (t *Tandem) Agent(node string) (pid int, err error) {
	children, err := t.nodes[node].Descendants()
	if err != nil {
		return 0, err
	}
	for _, pid := range children {
		if words, err := lab.Words(pid); err == nil && slices.Contains(words, "agent") {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("%s has no agent", node)
}

// WaitStopped waits until the node, which was asked to stop, has ended.
func (t *Tandem) WaitStopped(node string, within time.Duration) error {
	timeout := time.NewTimer(within)
	defer timeout.Stop()
	select {
	case <-t.nodes[node].Done():
		return nil
	case <-timeout.C:
		return errors.Join(fmt.Errorf("%s has not stopped within %s", node, within), t.Kill(node))
	}
}

// Running returns an error with the end of the node's log when it has ended.
func (t *Tandem) Running(node string) error {
	select {
	case <-t.nodes[node].Done():
		how := "it exited by itself"
		if err := t.nodes[node].Err(); err != nil {
			how = err.Error()
		}
		return fmt.Errorf("%s has ended (%s); its log ends with:\n%s", node, how, tail(t.LogFile(node)))
	default:
		return nil
	}
}

// tail returns the last lines of a file.
func tail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}
