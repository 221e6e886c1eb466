package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/vrrp"
)

const (
	preferred = "lb1"
	other     = "lb2"
	client    = "client"
	vip       = "192.168.56.10"
	// askEvery is slow: the machines have better things to do. What is measured does
	// not depend on it.
	askEvery = 2 * time.Second
)

// A view is what the nodes say of themselves, by name; nil where a node says nothing.
type view map[string]*admin.Status

// owners returns the nodes that are Active and hold the address.
func (v view) owners() []string {
	var all []string
	for _, name := range []string{preferred, other} {
		if s := v[name]; s != nil && len(s.VIPs) == 1 && s.VIPs[0].Role == vrrp.Active && s.VIPs[0].Holds {
			all = append(all, name)
		}
	}
	return all
}

// lacks says what keeps the pair from being whole: one owner, the preferred node, and
// another one that could take over at any time. It is empty when nothing does.
func (v view) lacks() string {
	for _, name := range []string{preferred, other} {
		s := v[name]
		switch {
		case s == nil:
			return name + " does not answer"
		case !s.Fit:
			return name + " is not fit: " + s.Unfit
		case len(s.Peers) != 1 || !s.Peers[0].Alive:
			return name + " does not hear its peer"
		case s.Servers == 0 || s.Reachable < s.Servers:
			return fmt.Sprintf("%s reaches %d of %d servers", name, s.Reachable, s.Servers)
		}
	}
	if owners := v.owners(); len(owners) != 1 || owners[0] != preferred {
		return fmt.Sprintf("the VIP is held by %q, not by %s alone", owners, preferred)
	}
	return ""
}

// look asks the nodes for their state.
func (m *machines) look(ctx context.Context, names ...string) view {
	v := view{}
	for _, name := range names {
		v[name] = nil
		text, err := m.run(ctx, name, "curl -sf --unix-socket /run/tandem/admin.sock http://tandem/v1/status")
		if err != nil {
			continue
		}
		s := new(admin.Status)
		if json.Unmarshal([]byte(text), s) == nil {
			v[name] = s
		}
	}
	return v
}

// served returns the node whose MAC address the client has for the VIP; empty when it
// has none, or that of neither node.
func (m *machines) served(ctx context.Context, macs map[string]string) (string, error) {
	text, err := m.run(ctx, client, "ip neigh show "+vip)
	if err != nil {
		return "", err
	}
	return ownerOf(text, macs), nil
}

// ownerOf finds the node in an entry of `ip neigh`.
func ownerOf(entry string, macs map[string]string) string {
	for node, mac := range macs {
		if strings.Contains(entry, " lladdr "+mac+" ") {
			return node
		}
	}
	return ""
}

// mac returns the MAC address of a node on the network of the VIP, and the name of the
// interface there.
func (m *machines) mac(ctx context.Context, node, address string) (mac, link string, err error) {
	text, err := m.run(ctx, node, "set -e; i=$(ip -o -4 addr show to "+address+` | awk '{print $2}'); echo "$i" "$(cat "/sys/class/net/$i/address")"`)
	if err != nil {
		return "", "", err
	}
	if _, err := fmt.Sscan(text, &link, &mac); err != nil {
		return "", "", fmt.Errorf("%s: the interface of %s: %q: %w", node, address, text, err)
	}
	return mac, link, nil
}

// until calls ready every so often, until it says that nothing is missing any more.
func until(ctx context.Context, within time.Duration, missing func(context.Context) (string, error)) error {
	bounded, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		lacks, err := missing(bounded)
		if err == nil && lacks == "" {
			return nil
		}
		select {
		case <-tick.C:
		case <-bounded.Done():
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				return err
			}
			return fmt.Errorf("after %s: %s", within, lacks)
		}
	}
}
