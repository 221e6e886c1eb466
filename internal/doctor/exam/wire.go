package exam

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/doctor"
	"github.com/tandemlb/tandem/internal/netio"
	"github.com/tandemlb/tandem/vrrp"
)

// Questions who has an address are asked so often, that far apart.
const (
	probes     = 3
	probeEvery = 500 * time.Millisecond
)

// others looks at the other nodes, and at all who are on the links of the VIPs.
func (e *exam) others(ctx context.Context) {
	for _, n := range e.config.Nodes {
		if n.Name != e.self.Name {
			e.facts.Peers = append(e.facts.Peers, doctor.Peer{Name: n.Name, Address: n.Address})
		}
	}
	said := make([]string, len(e.facts.Peers))
	var calling sync.WaitGroup
	for i, p := range e.facts.Peers {
		if e.status == nil {
			calling.Go(func() { said[i] = call(ctx, netip.AddrPortFrom(p.Address, e.config.Cluster.Port)) })
		}
	}
	e.network(ctx)
	calling.Wait()
	for i := range said {
		e.facts.Peers[i].Gossip = said[i]
	}
}

// call says what comes of connecting to a port.
func call(ctx context.Context, to netip.AddrPort) string {
	d := net.Dialer{Timeout: askWithin}
	c, err := d.DialContext(ctx, "tcp", to.String())
	switch {
	case err == nil:
		c.Close()
		return "open"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.EHOSTUNREACH):
		return "no route to host"
	}
	if t, is := errors.AsType[net.Error](err); is && t.Timeout() {
		return "it does not answer"
	}
	return err.Error()
}

// link is an interface of VIPs, with one family of addresses.
type link struct {
	ifname string
	self   netip.Addr
}

// network listens on the links of the VIPs, and asks who has their addresses.
func (e *exam) network(ctx context.Context) {
	if len(e.routers) == 0 || e.Listen <= 0 {
		return
	}
	var links []link
	for _, r := range e.routers {
		if l := (link{r.Interface, r.Params.Self.WithZone("")}); !slices.Contains(links, l) {
			links = append(links, l)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, e.Listen)
	defer cancel()
	var mu sync.Mutex
	heard, asked := 0, 0
	answers := map[netip.Addr][]string{}
	var all sync.WaitGroup
	for _, l := range links {
		all.Go(func() {
			adverts, err := listen(ctx, l)
			mu.Lock()
			defer mu.Unlock()
			e.unknown("VRRP on "+l.ifname, err)
			e.facts.Heard = append(e.facts.Heard, adverts...)
			if err == nil {
				heard++
			}
		})
		all.Go(func() {
			addrs := e.addressesOf(l.ifname, l.self.Is4())
			if e.beside(l.ifname) { // whatever family the VIPs are of
				for _, p := range e.facts.Peers {
					addrs = append(addrs, p.Address)
				}
			}
			err := ask(ctx, l.ifname, addrs, func(c netio.Claim) {
				mu.Lock()
				defer mu.Unlock()
				if mac := c.MAC.String(); !slices.Contains(answers[c.Addr], mac) {
					answers[c.Addr] = append(answers[c.Addr], mac)
				}
			})
			mu.Lock()
			defer mu.Unlock()
			e.unknown("who has the addresses on "+l.ifname, err)
			if err == nil {
				asked++
			}
		})
	}
	all.Wait()
	if heard == len(links) {
		e.facts.Listened = e.Listen
	}
	if asked == len(links) {
		e.answered(answers)
	}
}

// answered sorts who has answered for which address.
func (e *exam) answered(answers map[netip.Addr][]string) {
	for i := range e.facts.Peers {
		if macs := answers[e.facts.Peers[i].Address]; len(macs) > 0 {
			e.facts.Peers[i].MAC = macs[0]
		}
	}
	for i := range e.facts.VIPs {
		v := &e.facts.VIPs[i]
		v.Answers = map[netip.Addr][]string{}
		for _, p := range v.Prefixes {
			v.Answers[p.Addr()] = answers[p.Addr()]
		}
	}
}

// ask asks who has addrs, and listens until ctx is done.
func ask(ctx context.Context, ifname string, addrs []netip.Addr, claimed func(netio.Claim)) error {
	watch, err := netio.WatchClaims(ifname, addrs, nil)
	if err != nil {
		return err
	}
	announcer, err := netio.DialAnnouncer(ifname, nil)
	if err != nil {
		done, cancel := context.WithCancel(ctx)
		cancel()
		_ = watch.Run(done, claimed) // which closes it
		return err
	}
	defer announcer.Close()
	var asking sync.WaitGroup
	asking.Go(func() {
		tick := time.NewTicker(probeEvery)
		defer tick.Stop()
		for range probes {
			for _, a := range addrs {
				_ = announcer.Probe(a) // who does not answer is not there
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	err = watch.Run(ctx, claimed)
	asking.Wait()
	return err
}

// listen returns the advertisements of others that come until ctx is done, one of each
// kind.
func listen(ctx context.Context, l link) (all []doctor.Advert, err error) {
	conn, err := netio.OpenVRRP(netio.VRRPOptions{Interface: l.ifname, Self: l.self, Unicast: l.self.Is6() && !l.self.IsLinkLocalUnicast()})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	b := make([]byte, 2048)
	for ctx.Err() == nil {
		for {
			d, ok, err := conn.TryRead(b)
			if err != nil {
				return all, err
			}
			if !ok {
				break
			}
			if a, ok := advertOf(l, d); ok && !slices.ContainsFunc(all, a.same) {
				all = append(all, doctor.Advert(a))
			}
		}
		if err := raw.Control(func(fd uintptr) {
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 50) // milliseconds
		}); err != nil {
			return all, err
		}
	}
	return all, nil
}

// advert is one that was heard.
type advert doctor.Advert

// same reports whether b says nothing new.
func (a advert) same(b doctor.Advert) bool {
	return a.From == b.From && a.RouterID == b.RouterID && a.Version == b.Version && a.Priority == b.Priority && slices.Equal(a.Addresses, b.Addresses)
}

// advertOf reads a packet; ok is false of what is none, or this host's own.
func advertOf(l link, d netio.Datagram) (a advert, ok bool) {
	p := vrrp.Packet{Header: vrrp.Header{Source: d.Source, Destination: d.Destination}, TTL: d.TTL, Payload: d.Payload}
	if d.Packet != nil {
		var err error
		if p, err = vrrp.ParseIPv4(d.Packet); err != nil {
			return advert{}, false
		}
	}
	v, _, err := vrrp.ParseAdvert(p.Payload, p.Header)
	if err != nil || p.Source == l.self {
		return advert{}, false
	}
	return advert{Interface: l.ifname, From: p.Source, RouterID: v.VRID, Version: v.Version, Priority: v.Priority,
		Addresses: slices.Clone(v.Addresses)}, true
}
