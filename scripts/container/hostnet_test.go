package container

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/vrrp"
)

// all are the capabilities of docs/container.md.
var all = []string{"NET_ADMIN", "NET_RAW", "NET_BIND_SERVICE", "SETUID", "SETGID", "KILL", "SYS_NICE", "IPC_LOCK"}

// exactly are the options that give a container these capabilities and no other.
func exactly(capabilities []string) []string {
	args := []string{"--cap-drop", "ALL"}
	for _, k := range capabilities {
		args = append(args, "--cap-add", k)
	}
	return args
}

// hosts are two hosts of a scene on whose networks containers run.
type hosts struct {
	*engine
	*failover.Scene
	config string
}

// testHostNetwork has a pair on the networks of two hosts, one with the exact
// capabilities and one with --privileged, and then takes the capabilities away.
func testHostNetwork(t *testing.T, e *engine) {
	scene, err := failover.NewScene(failover.Spec{})
	if errors.Is(err, lab.ErrNotPermitted) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := scene.Close(); err != nil {
			t.Errorf("close the lab: %v", err)
		}
	}()
	h := &hosts{engine: e, Scene: scene, config: filepath.Join(t.TempDir(), "tandem.yaml")}
	h.write(t, failover.Config(100*time.Millisecond))
	t.Run("failover", h.testFailover)
	t.Run("without a capability", h.testCapabilities)
	t.Run("in a foreign user namespace", h.testUserNamespace)
}

func (h *hosts) write(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(h.config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// args are those of a node on the network of its host.
func (h *hosts) args(name string, options ...string) []string {
	return slices.Concat([]string{"run", "--name", name, "--network", "host", "--no-healthcheck", "--volume", h.config + ":/etc/tandem/tandem.yaml:ro"}, options, []string{image})
}

// start starts a node in the background.
func (h *hosts) start(t *testing.T, name, host string, options ...string) {
	t.Helper()
	h.run(h.Lab.Host(host), h.args(name, append([]string{"--detach"}, options...)...)...)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of %s:\n%s", name, lastWords(h.log(name)))
		}
		h.run(nil, "rm", "--force", "--time", "0", name)
	})
}

// owners returns what looks who has the VIP.
func (h *hosts) owners(t *testing.T) func() ([]string, string) {
	return func() (owners []string, believed string) {
		owners, err := h.Owners()
		neighbour, err1 := h.Lab.Host(failover.Client).Neighbor(failover.VIP().Addr())
		if err := errors.Join(err, err1); err != nil {
			t.Error(err)
		}
		for _, n := range failover.Nodes() {
			if mac, err := h.Lab.Host(n.Name).MAC(); err == nil && bytes.Equal(mac, neighbour) {
				believed = n.Name
			}
		}
		return owners, believed
	}
}

func (h *hosts) testFailover(t *testing.T) {
	h.start(t, "host1", failover.LB1, append(exactly(all), "--read-only")...)
	if err := h.Flows[0].WaitOwner(t.Context(), failover.LB1); err != nil {
		t.Fatal(err)
	}
	h.start(t, "host2", failover.LB2, "--privileged")
	eventually(t, "host2 is the backup", func() (bool, string) {
		s, err := h.status("host2")
		if err != nil {
			return false, err.Error()
		}
		return s.Fit && s.VIPs[0].Role == vrrp.Backup && s.VIPs[0].Active.IsValid(), s.VIPs[0].Error
	})
	traffic := startTraffic(t, h.Lab.Host(failover.Client), failover.VIP().Addr())
	traffic.look = h.owners(t)
	traffic.served(t)
	for _, event := range []struct {
		name, heir string
		do         func() error
	}{
		{"kill -9 of the container", failover.LB2, func() error {
			_, err := h.try(nil, "kill", "--signal", "KILL", "host1")
			return err
		}},
		{"it starts, and takes over", failover.LB1, func() error {
			_, err := h.try(h.Lab.Host(failover.LB1), "start", "host1")
			return err
		}},
		{"podman stop", failover.LB2, func() error {
			_, err := h.try(nil, "stop", "--time", "20", "host1")
			return err
		}},
	} {
		if w := traffic.measure(t, event.name, event.heir, event.do); w.Outage > tooLong {
			t.Errorf("%s: no answer for %v", event.name, w.Outage)
		}
		eventually(t, event.heir+" alone has the VIP", func() (bool, string) {
			owners, _ := traffic.look()
			return slices.Equal(owners, []string{event.heir}), fmt.Sprint(owners)
		})
	}
	// What it had is not on its host any more.
	if has, err := h.Lab.Host(failover.LB1).Has(failover.VIP().Addr()); has || err != nil {
		t.Errorf("host1 has left the address on its host: %t, %v", has, err)
	}
}

// testCapabilities takes each capability away: the node names it, and says how to give it.
func (h *hosts) testCapabilities(t *testing.T) {
	for _, tc := range []struct {
		without string
		want    []string
		runs    bool // with a warning
	}{
		{"NET_ADMIN", []string{"lacks CAP_NET_ADMIN (to set addresses)"}, false},
		{"NET_RAW", []string{"lacks CAP_NET_RAW (to send VRRP and ARP)"}, false},
		{"NET_BIND_SERVICE", []string{"listen on :80", "ports below 1024 need CAP_NET_BIND_SERVICE"}, false},
		{"SETUID", []string{"lacks CAP_SETUID (to run the worker as another user)"}, false},
		{"SETGID", []string{"lacks CAP_SETGID (to run the worker as another user)"}, false},
		{"KILL", []string{"lacks CAP_KILL (to end a worker that hangs)"}, false},
		{"SYS_NICE", []string{"does not run under a real-time scheduler", "needs CAP_SYS_NICE"}, true},
		{"IPC_LOCK", []string{"memory is not locked", "needs CAP_IPC_LOCK"}, true},
	} {
		t.Run(tc.without, func(t *testing.T) {
			rest := slices.DeleteFunc(slices.Clone(all), func(k string) bool { return k == tc.without })
			name := "without-" + strings.ToLower(tc.without)
			want := append(tc.want, "--cap-add "+tc.without)
			// As root a process may lock as much memory as its limit says.
			options := append(exactly(rest), "--ulimit", "memlock=65536:65536", "--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096")
			h.start(t, name, failover.LB1, options...)
			eventually(t, "it says what it lacks", func() (bool, string) {
				log := h.log(name)
				missing := slices.ContainsFunc(want, func(part string) bool { return !strings.Contains(log, part) })
				return !missing, log
			})
			if tc.runs {
				eventually(t, "it runs nevertheless", func() (bool, string) {
					s, err := h.status(name)
					if err != nil {
						return false, err.Error()
					}
					return s.Fit && s.VIPs[0].Role == vrrp.Active && s.VIPs[0].Holds, s.VIPs[0].Error
				})
				return
			}
			if code := h.run(nil, "wait", name); code != "1" {
				t.Errorf("it ended with status %s", code)
			}
		})
	}
}

// testUserNamespace runs a node as rootless podman would on the network of its host.
func (h *hosts) testUserNamespace(t *testing.T) {
	cmd := exec.Command("unshare", "--user", "--map-root-user", h.binary, "run", "-c", h.config, "--socket", filepath.Join(t.TempDir(), "admin.sock"))
	var out []byte
	err := h.Lab.Host(failover.LB1).Do(func() (err error) {
		out, err = cmd.CombinedOutput()
		return err
	})
	if err == nil {
		t.Error("it runs")
	}
	contains(t, string(out), "root in a user namespace alone", "rootless podman")
}
