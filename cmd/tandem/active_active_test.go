package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/vrrp"
)

// TestEachNodeBacksTheOther: two VIPs prefer different nodes. While one node is
// dead the other serves both, its own without a break; when it comes back, each has
// its own again.
func TestEachNodeBacksTheOther(t *testing.T) {
	s := sceneOf(t, failover.Spec{Addresses: []netip.Prefix{failover.VIP(), failover.VIP2()}})
	config := strings.ReplaceAll(failover.ConfigOfTwo(100*time.Millisecond), "advertise:", "preempt: 300ms, advertise:")
	p := &pair{Scene: s, t: t, lb1: newNode(t, s, lb1, config), lb2: newNode(t, s, lb2, config)}
	nodes := []*node{p.lb1, p.lb2} // by the VIP that it is preferred for
	for _, n := range nodes {
		n.start()
	}
	p.expectOwners(lb1, lb2)
	for dead, n := range nodes {
		alive := 1 - dead
		t.Logf("# %s dies", n.name)
		heir := nodes[alive]
		before := heir.role(alive)
		if err := lab.Kill(n.proc); err != nil {
			t.Fatal(err)
		}
		// Its own VIP is asked all the while.
		heir.eventually(patience, heir.name+" owns both", func() (bool, string) {
			if err := p.getFrom(s.Flows[alive].Address.Addr()); err != nil {
				t.Fatalf("the VIP of %s fails while %s dies: %v", heir.name, n.name, err)
			}
			owners, err := s.Flows[dead].Owners()
			if err != nil {
				t.Fatal(err)
			}
			return slices.Equal(owners, []string{heir.name}), strings.Join(owners, "+")
		})
		p.expectOwners(heir.name, heir.name)
		t.Logf("# %s comes back", n.name)
		n.start()
		p.expectOwners(lb1, lb2)
		if after := heir.role(alive); !after.Since.Equal(before.Since) || after.Counters.Transitions != before.Counters.Transitions {
			t.Errorf("%s let go of its own VIP: %v since %v (%s)", heir.name, after.Role, after.Since, after.Reason)
		}
	}
}

// expectOwners waits until each VIP has its one owner, who is settled, and the
// client is served there.
func (p *pair) expectOwners(names ...string) {
	p.t.Helper()
	p.lb1.eventually(patience, "the VIPs are owned by "+strings.Join(names, " and "), func() (bool, string) {
		var seen []string
		for i, f := range p.Flows {
			owners, err := f.Owners()
			if err != nil {
				p.t.Fatal(err)
			}
			if err := p.getFrom(f.Address.Addr()); err != nil {
				owners = append(owners, err.Error())
			}
			seen = append(seen, strings.Join(owners, "+"))
			if i < len(names) && seen[i] != names[i] {
				return false, strings.Join(seen, ", ")
			}
		}
		return true, ""
	})
	for i, name := range names {
		for _, n := range []*node{p.lb1, p.lb2} {
			if n.name == name {
				n.waitStatus("knows that it is active", func(s *admin.Status) bool {
					return len(s.VIPs) == len(names) && s.VIPs[i].Role == vrrp.Active && serversUp(s)
				})
			}
		}
	}
}

// role is what the node is for the i-th VIP.
func (n *node) role(i int) admin.VIP {
	n.t.Helper()
	return n.waitStatus("answers", func(s *admin.Status) bool { return len(s.VIPs) > i }).VIPs[i]
}

// getFrom asks the address once, over a new connection from the client.
func (p *pair) getFrom(a netip.Addr) error {
	client := http.Client{
		Timeout:   patience,
		Transport: &http.Transport{DialContext: p.Lab.Host(failover.Client).DialContext, DisableKeepAlives: true},
	}
	resp, err := client.Get("http://" + a.String() + "/")
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %s", resp.Status)
	}
	return errors.Join(err, resp.Body.Close())
}
