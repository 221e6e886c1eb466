package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/internal/lab/report"
	"github.com/tandemlb/tandem/scripts/bench/side"
	"github.com/tandemlb/tandem/scripts/bench/web"
	"github.com/tandemlb/tandem/vrrp"
)

// failoverName is the part that is of a pair of Tandem alone.
const failoverName = "failover"

// readyWithin is how long a pair may take to be ready, or to move its address.
const readyWithin = 20 * time.Second

// rounded says how often the failover happens, and to how many clients.
type rounded struct{ rounds, clients int }

// failoverRounds measures how many clients resume their sessions with the node that has
// taken over. It needs root, for network namespaces.
func failoverRounds(ctx context.Context, binary, dir string, f side.Files, r rounded) error {
	var shares []float64
	for round := range r.rounds {
		resumed, err := resumedAfterFailover(ctx, binary, filepath.Join(dir, fmt.Sprint("pair", round)), f, r.clients)
		if errors.Is(err, lab.ErrNotPermitted) {
			fmt.Printf("\n%s: needs root: %v\n", failoverName, err)
			return nil
		}
		if err != nil {
			return fmt.Errorf("round %d, %s: %w", round+1, failoverName, err)
		}
		fmt.Fprintf(os.Stderr, "round %d of %d, %s: %d of %d clients resumed\n", round+1, r.rounds, failoverName, resumed, r.clients)
		shares = append(shares, 100*float64(resumed)/float64(r.clients))
	}
	spread := report.SpreadOf(shares)
	fmt.Printf("\n%s: every process of the active node killed; of the clients that come back, %.1f %% resume [%.1f-%.1f]\n",
		failoverName, spread.Median, spread.Min, spread.Max)
	return nil
}

// resumedAfterFailover returns how many clients resume.
func resumedAfterFailover(ctx context.Context, binary, dir string, f side.Files, clients int) (resumed int, err error) {
	scene, err := failover.NewScene(failover.Spec{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, scene.Close()) }()
	config, err := pairConfig(binary, dir, f)
	if err != nil {
		return 0, err
	}
	pair, err := failover.NewTandem(scene, binary, dir, config)
	if err != nil {
		return 0, err
	}
	for _, n := range failover.Nodes() {
		if err := pair.Start(n.Name); err != nil {
			return 0, err
		}
	}
	for name, role := range map[string]vrrp.Role{failover.LB1: vrrp.Active, failover.LB2: vrrp.Backup} {
		if err := await(ctx, pair, name, role); err != nil {
			return 0, err
		}
	}
	configs := make([]*tls.Config, clients)
	for i := range configs {
		configs[i] = clientConfig()
		configs[i].SessionTicketsDisabled, configs[i].ClientSessionCache = false, tls.NewLRUClientSessionCache(1)
		if did, err := ask(ctx, scene, configs[i]); err != nil || did {
			return 0, fmt.Errorf("client %d, before the failover: it resumed: %v: %w", i, did, err)
		}
	}
	if err := pair.Kill(failover.LB1); err != nil {
		return 0, err
	}
	if err := await(ctx, pair, failover.LB2, vrrp.Active); err != nil {
		return 0, err
	}
	for i, c := range configs {
		did, err := ask(ctx, scene, c)
		if err != nil {
			return 0, fmt.Errorf("client %d, after the failover: %w", i, err)
		}
		if did {
			resumed++
		}
	}
	return resumed, nil
}

// pairConfig makes the folder of a pair, and the key of its cluster in it.
func pairConfig(binary, dir string, f side.Files) (string, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", fmt.Errorf("make a folder for the pair: %w", err)
	}
	key, err := exec.Command(binary, "keygen").Output()
	if err != nil {
		return "", fmt.Errorf("make a key for the cluster: %w", err)
	}
	path := filepath.Join(dir, "cluster.key")
	if err := os.WriteFile(path, key, 0o600); err != nil {
		return "", fmt.Errorf("write the key of the cluster: %w", err)
	}
	var nodes, servers string
	for _, n := range failover.Nodes() {
		nodes += fmt.Sprintf("  %s: %s\n", n.Name, n.Addresses[0].Addr())
	}
	for _, s := range failover.Servers() {
		servers += fmt.Sprintf("      - %s\n", netip.AddrPortFrom(s.Addresses[0].Addr(), 80))
	}
	return fmt.Sprintf(`nodes:
%scluster: {key_file: %s}
vips:
  main: {addresses: [%s], advertise: 100ms}
listeners:
  web:
    bind: ":443"
    tls: {certificates: [{cert: %s, key: %s}]}
    pool: web
pools:
  web:
    check: GET /
    servers:
%s`, nodes, path, failover.VIP(), f.Cert, f.Key, servers), nil
}

// await waits until the node has the role, knows its peer if it has one, and finds every
// server up.
func await(ctx context.Context, pair *failover.Tandem, node string, role vrrp.Role) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, fmt.Errorf("%s is not %s within %s", node, role, readyWithin))
	defer cancel()
	client := admin.NewClient(pair.Socket(node))
	for {
		s, err := client.Status(ctx)
		if err == nil && plays(s, role) {
			return nil
		}
		if err := errors.Join(failover.Pause(ctx, 20*time.Millisecond), pair.Running(node)); err != nil {
			return err
		}
	}
}

func plays(s *admin.Status, role vrrp.Role) bool {
	if len(s.VIPs) != 1 || s.VIPs[0].Role != role || s.VIPs[0].Holds != (role == vrrp.Active) {
		return false
	}
	for _, p := range s.Pools {
		for _, v := range p.Servers {
			if v.Health != "up" {
				return false
			}
		}
	}
	return len(s.Pools) > 0 && len(s.Peers) == 1 && s.Peers[0].Hash != ""
}

// ask makes a request at the pair's address, and reports whether the session was resumed.
func ask(ctx context.Context, scene *failover.Scene, config *tls.Config) (resumed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, web.AnswerWithin)
	defer cancel()
	raw, err := scene.Lab.Host(failover.Client).DialContext(ctx, "tcp", net.JoinHostPort(failover.VIP().Addr().String(), "443"))
	if err != nil {
		return false, err
	}
	c := tls.Client(raw, config)
	defer c.Close()
	if err := web.Get(c, make([]byte, 4<<10)); err != nil {
		return false, err
	}
	return c.ConnectionState().DidResume, nil
}
