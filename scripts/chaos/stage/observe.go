package stage

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/netio"
	"github.com/tandemlb/tandem/scripts/chaos/judge"
	"github.com/tandemlb/tandem/scripts/chaos/load"
	"github.com/tandemlb/tandem/scripts/chaos/wire"
)

const (
	sampleEvery    = 5 * time.Millisecond
	neighbourEvery = 4  // samples
	arpEvery       = 2  // samples
	lockEvery      = 10 // samples
	lateBy         = 15 * time.Millisecond
)

// observe starts all that looks at the pair from outside, until ctx is done.
func (s *Stage) observe(ctx context.Context) error {
	macs := [2]net.HardwareAddr{}
	for i, n := range s.nodes {
		mac, err := n.host.MAC()
		if err != nil {
			return err
		}
		macs[i] = mac
		c, err := n.host.Capture(func(f lab.Frame) bool { s.frame(i, f); return false })
		if err != nil {
			return err
		}
		s.caught = append(s.caught, c)
		s.all.Go(func() error { s.listen(ctx, n); return nil })
	}
	var asker *netio.Announcer
	if err := s.lab.Host(rogue).Do(func() (err error) {
		asker, err = netio.DialAnnouncer(lab.Interface, nil)
		return err
	}); err != nil {
		return fmt.Errorf("open a socket to ask by ARP: %w", err)
	}
	s.all.Go(func() error { return s.sample(ctx, macs) })
	s.all.Go(func() error { defer asker.Close(); s.ask(ctx, asker); return nil })
	s.all.Go(func() error { return s.lock(ctx) })
	return nil
}

// sample looks at the kernels: who has the address, and whom the client believes.
func (s *Stage) sample(ctx context.Context, macs [2]net.HardwareAddr) error {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	last, believed := s.clock(), -2
	for i := 0; ; i++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		e := judge.Event{At: s.clock(), What: judge.Sample}
		for k, n := range s.nodes {
			has, err := n.host.Has(VIP())
			if err != nil {
				return err
			}
			e.Holds[k] = has
		}
		if gap := s.clock() - last; gap > lateBy {
			s.say(judge.Event{What: judge.Late, Text: judge.Harness, Span: gap - sampleEvery})
		}
		if since := time.Duration(s.locked.Load()); since != 0 && i%lockEvery == 0 && s.clock()-since > lateBy {
			s.say(judge.Event{What: judge.Late, Text: judge.Lock, Span: s.clock() - since}) // so far
		}
		last = s.clock()
		s.say(e)
		if i%neighbourEvery != 0 {
			continue
		}
		mac, err := s.lab.Host(client).Neighbor(VIP())
		if err != nil {
			return err
		}
		who := judge.Nobody
		for k := range macs {
			if bytes.Equal(mac, macs[k]) {
				who = k
			}
		}
		if who != believed {
			believed = who
			s.say(judge.Event{What: judge.Neighbour, Node: who})
		}
	}
}

// ask asks by ARP who has the address, again and again.
func (s *Stage) ask(ctx context.Context, asker *netio.Announcer) {
	tick := time.NewTicker(arpEvery * sampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		_ = asker.Probe(VIP()) // a buffer that is full is emptied by the next one
	}
}

// frame takes a frame at a node's port.
func (s *Stage) frame(node int, f lab.Frame) {
	if !f.Sent {
		return
	}
	what := map[wire.Kind]judge.What{wire.Answer: judge.Answer, wire.Announcement: judge.Announce, wire.Advertisement: judge.Advert}[wire.Read(f.Data, VIP())]
	if what != "" {
		s.say(judge.Event{At: max(1, f.At.Sub(s.began)), What: what, Node: node})
	}
}

// lock measures for how long others hold the lock of the kernel that an address
// is added under: in a network of its own, where nothing else happens.
func (s *Stage) lock(ctx context.Context) error {
	host := s.lab.Host(rogue)
	var h *netlink.Handle
	if err := host.Do(func() (err error) {
		h, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	}); err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find the loopback of a host: %w", err)
	}
	address := &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(127, 7, 7, 7), Mask: net.CIDRMask(32, 32)}}
	tick := time.NewTicker(lockEvery * sampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		for _, change := range []func(netlink.Link, *netlink.Addr) error{h.AddrAdd, h.AddrDel} {
			began := s.clock()
			s.locked.Store(int64(began))
			if err := change(lo, address); err != nil {
				return fmt.Errorf("measure the kernel's lock: %w", err)
			}
			s.locked.Store(0)
			if took := s.clock() - began; took > lateBy {
				s.say(judge.Event{What: judge.Late, Text: judge.Lock, Span: took})
			}
		}
	}
}

// record reads what the clients tell, until they end.
func (s *Stage) record(in io.Reader) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		l, err := load.Parse(lines.Text())
		if err != nil {
			return err
		}
		e := judge.Event{At: max(1, l.End.Sub(s.began)), What: judge.Outcome, Text: l.Class, Span: l.Span, OK: l.Reason == "", Reason: l.Reason}
		if l.Class == load.Late || l.Class == load.Control {
			if e.What, e.Text = judge.Late, judge.Ordinary; e.Span < lateBy {
				continue
			}
		}
		s.say(e)
	}
	return lines.Err()
}
