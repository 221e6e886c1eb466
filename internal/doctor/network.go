package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

func (e *examination) interfaces() {
	const check = "interface"
	for _, name := range e.Links() {
		i, is := e.Interfaces[name]
		switch {
		case !is:
			e.fail(check, name+" is not there", "its VIPs cannot be set", "set interface in "+e.Config.Path)
		case !i.Up:
			e.fail(check, name+" is down", "nobody is heard or reached on it", "ip link set "+name+" up")
		case !i.Carrier:
			e.fail(check, name+" has no carrier", "nobody is heard or reached on it", "see the cable, or the switch; of a virtual machine, its network")
		default:
			e.ok(check, fmt.Sprintf("%s is up, MTU %d", name, i.MTU))
		}
	}
}

// addresses looks at where the addresses are on this host, and whether their networks are.
func (e *examination) addresses() {
	const check = "address"
	for _, v := range e.VIPs {
		for _, p := range v.Prefixes {
			addr := p.Addr()
			if on := e.holder(addr); on != "" && !v.Holds {
				who := "nothing renews it: this host would keep it for ever, whatever becomes of the node"
				if e.Running != nil {
					who = "the node does not hold it, and another host may"
				}
				e.fail(check, fmt.Sprintf("%s of VIP %s is set on %s", addr, v.Name, on), who,
					fmt.Sprintf("ip addr del %s dev %s, and take it out of the host's network configuration", addr, on))
				continue
			}
			if addr.IsLinkLocalUnicast() || e.onLink(v, p) {
				e.ok(check, fmt.Sprintf("%s has its network on %s", addr, v.Interface))
				continue
			}
			e.warn(check, fmt.Sprintf("%s has no network on %s", addr, v.Interface), "hosts on that link reach it by a router alone, if at all",
				fmt.Sprintf("write it with the prefix length of its network in %s, or add an address of that network to %s", e.Config.Path, v.Interface))
		}
	}
}

// holder returns the interface that has addr.
func (e *examination) holder(addr netip.Addr) string {
	for name, i := range e.Interfaces {
		if slices.ContainsFunc(i.Prefixes, func(p netip.Prefix) bool { return p.Addr() == addr }) {
			return name
		}
	}
	return ""
}

// onLink reports whether the network of a VIP is one of its interface, or comes with it.
func (e *examination) onLink(v VIP, p netip.Prefix) bool {
	if !p.IsSingleIP() {
		return true // the kernel makes a route for it
	}
	return slices.ContainsFunc(e.Interfaces[v.Interface].Prefixes, func(own netip.Prefix) bool {
		return own.Addr() != p.Addr() && own.Contains(p.Addr())
	})
}

// duplicates looks at who else answers for the addresses.
func (e *examination) duplicates() {
	const check = "duplicate address"
	asked := false
	for _, v := range e.VIPs {
		virtual := fmt.Sprintf("00:00:5e:00:01:%02x", v.RouterID)
		if v.Self.Is6() {
			virtual = fmt.Sprintf("00:00:5e:00:02:%02x", v.RouterID)
		}
		for addr, macs := range v.Answers {
			asked = true
			for _, mac := range macs {
				if mac == virtual || e.maybePeers(v, mac, len(macs)) {
					continue
				}
				e.fail(check, fmt.Sprintf("%s, which is none of the nodes, answers for %s", mac, addr), "clients are sent there or here, as it comes",
					fmt.Sprintf("find it by its MAC address (ip neigh; the switch's table), and take the address from it, or give VIP %s another", v.Name))
			}
		}
	}
	if asked && !e.found(check) {
		e.ok(check, "nobody but the nodes answers for a VIP")
	}
}

// maybePeers reports whether mac, one of so many that answer for an address of v, is a
// peer's, or may be: where a peer has another address than its own, its MAC address there
// is not known.
func (e *examination) maybePeers(v VIP, mac string, answers int) bool {
	return slices.ContainsFunc(e.Peers, func(p Peer) bool { return p.MAC == mac }) || v.Apart && answers <= len(e.Peers)
}

// routers looks at who speaks VRRP.
func (e *examination) routers() {
	const check = "VRRP"
	var told []string
	for _, a := range e.Heard {
		for _, f := range e.hear(a) {
			if key := f.Found; !slices.Contains(told, key) { // it is said ten times a second
				told = append(told, key)
				f.Check = check
				e.findings = append(e.findings, f)
			}
		}
	}
	if e.Listened > 0 && !e.found(check) {
		e.ok(check, fmt.Sprintf("within %v nothing was heard that hurts%s", e.Listened, e.foreign()))
	}
}

// foreign names the virtual routers of others, which nobody here is to take.
func (e *examination) foreign() string {
	var ids []int
	for _, a := range e.Heard {
		ours := slices.ContainsFunc(e.VIPs, func(v VIP) bool { return v.RouterID == a.RouterID })
		if id := int(a.RouterID); !ours && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return ""
	}
	slices.Sort(ids)
	words := make([]string, 0, len(ids))
	for _, id := range ids {
		words = append(words, strconv.Itoa(id))
	}
	return "; others use router_id " + strings.Join(words, " and ")
}

// hear judges an advertisement of another host.
func (e *examination) hear(a Advert) (all []Finding) {
	for _, v := range e.VIPs {
		if v.Interface != a.Interface || v.Self.Is4() != a.From.Is4() || v.Self == a.From {
			continue
		}
		ours := slices.ContainsFunc(v.Prefixes, func(p netip.Prefix) bool { return slices.Contains(a.Addresses, p.Addr()) })
		// Elsewhere a peer advertises from an address that the config does not name, as it
		// does over IPv6.
		peer := slices.ContainsFunc(e.Peers, func(p Peer) bool { return p.Address == a.From }) ||
			(v.Apart || a.From.Is6()) && ours && v.RouterID == a.RouterID
		from := fmt.Sprintf("%s on %s", a.From, a.Interface)
		switch {
		case v.RouterID == a.RouterID && !peer:
			all = append(all, Finding{Severity: Error, Found: fmt.Sprintf("%s, which is none of the nodes, advertises virtual router %d with priority %d", from, a.RouterID, a.Priority),
				Why: "it is the router_id of VIP " + v.Name + ": each takes the other for its peer, and one of them does not get its addresses",
				Fix: fmt.Sprintf("set vips.%s.router_id in %s to one that nobody uses there", entry(v.Name), e.Config.Path)})
		case v.RouterID == a.RouterID && v.Version != a.Version:
			all = append(all, Finding{Severity: Error, Found: fmt.Sprintf("%s advertises virtual router %d in version %d, this node in %d", from, a.RouterID, a.Version, v.Version),
				Why: "they do not understand each other, and both become Active", Fix: "give both nodes the same config"})
		case v.RouterID == a.RouterID && !ours && a.Priority > 0:
			all = append(all, Finding{Severity: Warning, Found: fmt.Sprintf("%s advertises other addresses for virtual router %d than VIP %s has", from, a.RouterID, v.Name),
				Why: "the nodes have different configs", Fix: "give both nodes the same config"})
		case v.RouterID != a.RouterID && ours:
			all = append(all, Finding{Severity: Error, Found: fmt.Sprintf("%s advertises an address of VIP %s as virtual router %d", from, v.Name, a.RouterID),
				Why: "two virtual routers own one address", Fix: fmt.Sprintf("give it router_id %d there, or take the address from one of them", v.RouterID)})
		}
	}
	return all
}

// entry is the name of the config's entry that a virtual router belongs to.
func entry(name string) string {
	name, _, _ = strings.Cut(name, "/")
	return name
}

func (e *examination) peers() {
	const check = "peer"
	for _, p := range e.Peers {
		who := fmt.Sprintf("%s at %s", p.Name, p.Address)
		switch {
		case e.Running != nil && e.Running.PeerAlive:
			e.ok(check, who+" is a member")
		case e.Running != nil:
			e.warn(check, who+" is silent", "it does not run, or its gossip is blocked: a cut is not told from a death",
				fmt.Sprintf("start it; let ports %d of TCP and UDP and %d of TCP pass between the nodes", e.Config.Port, e.Config.Port+1))
		case p.Gossip == "open":
			e.ok(check, fmt.Sprintf("%s answers on port %d", who, e.Config.Port))
		case p.Gossip == "refused":
			e.ok(check, who+" is there, and no node runs on it")
		case p.Gossip != "":
			e.warn(check, fmt.Sprintf("%s is not reached on port %d: %s", who, e.Config.Port, p.Gossip), "gossip does not pass: a cut is not told from a death",
				fmt.Sprintf("start that host; let ports %d of TCP and UDP and %d of TCP pass between the nodes", e.Config.Port, e.Config.Port+1))
		}
	}
}
