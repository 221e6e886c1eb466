package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/failover"
)

// keepalivedPair is keepalived and HAProxy on each node, as well set up for a
// fast failover as they can be: VRRPv3 below a second, real-time priority.
type keepalivedPair struct {
	scene     *failover.Scene
	dir       string
	advertise time.Duration
	vrrp      map[string]*lab.Process
	proxy     map[string]*lab.Process
}

func keepalived() system {
	return system{
		name:    "keepalived",
		version: keepalivedVersion,
		pair: func(scene *failover.Scene, dir string, advertise time.Duration) (pair, error) {
			return &keepalivedPair{
				scene: scene, dir: dir, advertise: advertise,
				vrrp: make(map[string]*lab.Process), proxy: make(map[string]*lab.Process),
			}, nil
		},
	}
}

func keepalivedVersion() (string, error) {
	var versions []string
	for _, command := range []string{"keepalived", "haproxy"} {
		out, err := exec.Command(command, "-v").CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("ask %s for its version: %w (hint: scripts/bench/failover.sh installs it)", command, err)
		}
		first, _, _ := bytes.Cut(out, []byte("\n"))
		versions = append(versions, string(first))
	}
	return strings.Join(versions, "; "), nil
}

// Start starts both programs.
func (k *keepalivedPair) Start(node string) error {
	file := func(ext string) string { return filepath.Join(k.dir, node+"."+ext) }
	priority := map[string]int{failover.LB1: 200, failover.LB2: 150}[node]
	err := errors.Join(
		os.WriteFile(file("keepalived.conf"), []byte(keepalivedConfig(node, priority, k.advertise)), 0o644),
		os.WriteFile(file("haproxy.cfg"), []byte(haproxyConfig()), 0o644))
	if err != nil {
		return fmt.Errorf("write config: %w", err)
	}
	// The pid files of a killed instance, and those of another in the same PID
	// namespace, pass for an instance that runs.
	for _, stale := range []string{file("pid"), file("vrrp.pid")} {
		if err := os.Remove(stale); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove pid file: %w", err)
		}
	}
	vrrp := exec.Command("keepalived", "-n", "-l", "-f", file("keepalived.conf"), "-p", file("pid"), "-r", file("vrrp.pid"))
	proxy := exec.Command("haproxy", "-db", "-f", file("haproxy.cfg"))
	if k.proxy[node], err = k.start(node, "haproxy", proxy); err != nil {
		return err
	}
	k.vrrp[node], err = k.start(node, "keepalived", vrrp)
	return err
}

func (k *keepalivedPair) start(node, program string, cmd *exec.Cmd) (*lab.Process, error) {
	log, err := os.OpenFile(filepath.Join(k.dir, node+"."+program+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	defer log.Close() // the program has its own descriptor
	cmd.Stdout, cmd.Stderr = log, log
	return k.scene.Lab.Host(node).Start(cmd)
}

// Kill kills both programs, with keepalived's VRRP process, which would say
// goodbye if its parent died first.
func (k *keepalivedPair) Kill(node string) error {
	if err := lab.Kill(k.vrrp[node], k.proxy[node]); err != nil {
		return fmt.Errorf("kill %s: %w", node, err)
	}
	<-k.vrrp[node].Done()
	<-k.proxy[node].Done()
	return nil
}

// Stop stops keepalived alone: that HAProxy serves on until the address has
// moved is the kindest order there is.
func (k *keepalivedPair) Stop(node string) error { return k.vrrp[node].Signal(syscall.SIGTERM) }

// Heartbeat returns keepalived's processes: the one of VRRP, and its parent.
func (k *keepalivedPair) Heartbeat(node string) ([]int, error) {
	children, err := k.vrrp[node].Descendants()
	return append(children, k.vrrp[node].PID()), err
}

func keepalivedConfig(node string, priority int, advertise time.Duration) string {
	return fmt.Sprintf(`global_defs {
  router_id %s
  vrrp_version 3
  vrrp_rt_priority 50
  vrrp_rlimit_rttime 1000000
}
vrrp_instance main {
  state BACKUP
  interface %s
  virtual_router_id 51
  priority %d
  advert_int %s
  virtual_ipaddress { %s }
}
`, node, lab.Interface, priority, strconv.FormatFloat(advertise.Seconds(), 'f', -1, 64), failover.VIP())
}

func haproxyConfig() string {
	var servers strings.Builder
	for _, s := range failover.Servers() {
		fmt.Fprintf(&servers, "  server %s %s:80 check\n", s.Name, s.Addresses[0].Addr())
	}
	return `global
  nbthread 2
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 30s
frontend web
  bind :80
  default_backend web
backend web
  balance roundrobin
  option httpchk GET /
  http-reuse safe
` + servers.String()
}
