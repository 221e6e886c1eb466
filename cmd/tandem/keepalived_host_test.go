package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/failover"
)

// keepalivedConfig is what differs from test to test.
type keepalivedConfig struct {
	version  int    // of VRRP; 0 for 3
	priority int    // 1..254
	interval string // of advertisements, in seconds; "" for 0.1
	more     string // addresses beside the VIP
	ipv6     bool   // the VIP of IPv6 instead
	peer     string // advertise to it instead of the group
	stay     bool   // do not preempt
}

// String returns the config file. With its real-time priority keepalived does not
// look dead on a busy machine. When a partition has healed, higher_prio_send_advert
// has the loser say one more word, as Tandem's does: a winner that is the first to
// speak would else not know of the other, nor correct what that one announced.
func (c keepalivedConfig) String() string {
	if c.version == 0 {
		c.version = 3
	}
	if c.interval == "" {
		c.interval = "0.1"
	}
	vip := failover.VIP().String()
	if c.ipv6 {
		vip = strings.Join([]string{vip6Local, vip6 + "/64"}, "\n    ")
	}
	if c.peer != "" {
		c.more += "\n  }\n  unicast_peer {\n    " + c.peer
	}
	preempt := ""
	if c.stay {
		preempt = "nopreempt"
	}
	return fmt.Sprintf(`global_defs {
  router_id rival
  vrrp_version %d
  vrrp_rt_priority 50
  vrrp_rlimit_rttime 1000000
  vrrp_higher_prio_send_advert true
}
vrrp_instance main {
  state BACKUP
  interface %s
  virtual_router_id 100
  priority %d
  advert_int %s
  %s
  virtual_ipaddress {
    %s
    %s
  }
}
`, c.version, lab.Interface, c.priority, c.interval, preempt, vip, c.more)
}

// keepalived is a host that runs it.
type keepalived struct {
	*node  // without an admin socket
	binary string
}

func newKeepalived(t *testing.T, s *failover.Scene, name string, config keepalivedConfig) *keepalived {
	t.Helper()
	binary, err := exec.LookPath("keepalived")
	if err != nil {
		t.Skipf("needs keepalived: %v", err)
	}
	k := &keepalived{newNode(t, s, name, ""), binary}
	k.config = filepath.Join(k.dir, "keepalived.conf")
	k.write(config.String())
	return k
}

// start starts keepalived. The pid files of another one in the same PID
// namespace, or of one that was killed, would pass for one that runs.
func (k *keepalived) start() {
	k.t.Helper()
	pids := k.t.TempDir()
	cmd := k.command("-n", "-l", "-D", "-f", k.config, "-p", filepath.Join(pids, "pid"), "-r", filepath.Join(pids, "vrrp.pid"))
	cmd.Path, cmd.Args[0] = k.binary, "keepalived"
	var err error
	if k.proc, err = k.host.Start(cmd); err != nil {
		k.t.Fatal(err)
	}
}
