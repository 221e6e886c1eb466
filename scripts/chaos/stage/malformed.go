package stage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/scripts/chaos/judge"
	"github.com/tandemlb/tandem/scripts/chaos/load"
	"github.com/tandemlb/tandem/scripts/chaos/plan"
)

const (
	malformedEvery = 5 * time.Millisecond // a packet to each, and a connection
	gossipPort     = 7946
	noticePort     = 7947
	routerID       = 51
)

// malformed sends what is no advertisement, no gossip and no request, for as long as
// the fault lasts, and tells whether the nodes counted it.
func (s *Stage) malformed(ctx context.Context, f plan.Fault) error {
	var before [2]refused
	for i, n := range s.nodes {
		if status, err := n.status(ctx); err == nil {
			before[i] = refusedBy(status)
		}
	}
	rng := rand.New(rand.NewPCG(uint64(f.ID), uint64(f.For)))
	var raw int
	if err := s.lab.Host(rogue).Do(func() (err error) {
		raw, err = rawSocket()
		return err
	}); err != nil {
		return fmt.Errorf("open a raw socket: %w", err)
	}
	defer unix.Close(raw)
	var connections sync.WaitGroup
	defer connections.Wait()
	began := s.clock()
	end := began + f.For
	for next := s.clock(); next < end && s.wait(ctx, next); next += malformedEvery {
		// A raw socket that is full drops it: there are others.
		_ = unix.Sendto(raw, badAdvertisement(rng), 0, &unix.SockaddrInet4{Addr: [4]byte{224, 0, 0, 18}})
		target, bytes := badStream(rng)
		connections.Go(func() { s.throw("tcp", target, bytes) })
		if rng.IntN(2) == 0 {
			address := addressOf([]string{plan.LB1, plan.LB2}[rng.IntN(2)])
			s.throw("udp", netip.AddrPortFrom(address, gossipPort), noise(rng, 200))
		}
	}
	connections.Wait()
	for i, n := range s.nodes {
		if before[i].agent != 0 {
			s.counted(ctx, n, before[i], began)
		}
	}
	return nil
}

// refused is how many packets an agent has refused so far.
type refused struct {
	agent int // its process
	count uint64
}

func refusedBy(s *admin.Status) (r refused) {
	if s.Agent == nil {
		return r
	}
	r.agent = s.Agent.PID
	for _, n := range s.Agent.Dropped {
		r.count += n
	}
	for _, v := range s.VIPs {
		for _, n := range v.Counters.Dropped {
			r.count += n
		}
	}
	return r
}

// countedWithin is how long a node may take to show what it counted: its agent
// reports each second.
const countedWithin = 4 * time.Second

// counted tells whether a node counted what it refused since a time.
func (s *Stage) counted(ctx context.Context, n *node, before refused, began time.Duration) {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for end := s.clock() + countedWithin; ; {
		status, err := n.status(ctx)
		if err != nil {
			return
		}
		now := refusedBy(status)
		if now.agent != before.agent || now.count > before.count {
			return
		}
		if s.clock() > end {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
	s.say(judge.Event{What: judge.Check, Node: n.index, Reason: "I5", Span: s.clock() - began, Text: n.name + " counts none of the packets that it must refuse"})
}

// throw sends bytes and does not care what becomes of them.
func (s *Stage) throw(network string, target netip.AddrPort, b []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := s.lab.Host(rogue).DialContext(ctx, network, target.String())
	if err != nil {
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write(b); err == nil && network == "tcp" {
		if tcp, ok := conn.(*net.TCPConn); ok && len(b)%2 == 0 {
			_ = tcp.CloseWrite()
		}
		_, _ = io.Copy(io.Discard, conn)
	}
}

// badStream returns something that is no request, and where to send it.
func badStream(rng *rand.Rand) (netip.AddrPort, []byte) {
	requests := []string{
		"GET / HTTP/1.1\r\n\r\n", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/9.9\r\nHost: a\r\n\r\n", "\r\n\r\n\r\n\x00",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", "GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "GET /" + strings.Repeat("a", 70000) + " HTTP/1.1\r\n",
	}
	proxies := []string{
		"PROXY TCP4 1.2.3.4\r\n", "PROXY TCP9 1.2.3.4 5.6.7.8 1 2\r\n", "\r\n\r\n\x00\r\nQUIT\n\x21\xff\xff\xff",
		"\r\n\r\n\x00\r\nQUIT\n\x2f\x11\x00\x02ab", "PROXY " + strings.Repeat("x", 300), "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	}
	vip := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(VIP(), port) }
	switch rng.IntN(5) {
	case 0:
		return vip(load.HTTPPort), []byte(requests[rng.IntN(len(requests))])
	case 1:
		return vip(proxiedPort), []byte(proxies[rng.IntN(len(proxies))])
	case 2:
		return vip(load.TLSPort), append([]byte{22, 3, 1, 1, 0, 1}, noise(rng, 300)...)
	case 3:
		return vip([]uint16{load.HTTPPort, load.TLSPort, proxiedPort}[rng.IntN(3)]), noise(rng, 400)
	}
	node := addressOf([]string{plan.LB1, plan.LB2}[rng.IntN(2)])
	return netip.AddrPortFrom(node, []uint16{gossipPort, noticePort}[rng.IntN(2)]), noise(rng, 300)
}

func noise(rng *rand.Rand, most int) []byte {
	b := make([]byte, 1+rng.IntN(most))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// rawSocket opens a socket for whole IPv4 packets.
func rawSocket() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_RAW)
	if err != nil {
		return 0, err
	}
	address := addressOf(rogue).As4()
	if err := unix.SetsockoptInet4Addr(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, address); err != nil {
		return 0, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// badAdvertisement is an IPv4 packet that looks like an advertisement of a router of
// the highest priority, and must be refused for one reason or another.
func badAdvertisement(rng *rand.Rand) []byte {
	const header = 20
	vip, from := VIP().As4(), addressOf(rogue).As4()
	ttl, destination := byte(255), [4]byte{224, 0, 0, 18}
	body := []byte{3<<4 | 1, routerID, 254, 1, 0, 10, 0, 0, vip[0], vip[1], vip[2], vip[3]}
	seal := func() { binary.BigEndian.PutUint16(body[6:], checksum(body, from, destination)) }
	switch rng.IntN(6) {
	case 0: // from beyond the link
		seal()
		ttl = byte(1 + rng.IntN(254))
	case 1: // damaged
		seal()
		body[6+rng.IntN(2)] ^= byte(1 + rng.IntN(255))
	case 2: // cut short
		seal()
		body = body[:rng.IntN(8)]
	case 3: // another version
		body[0] = byte([]int{0, 1, 4, 7, 15}[rng.IntN(5)])<<4 | 1
		seal()
	case 4: // another type
		body[0] = 3<<4 | byte(2+rng.IntN(14))
		seal()
	case 5: // fewer addresses than it says
		body[3] = byte(2 + rng.IntN(254))
		seal()
	}
	packet := make([]byte, header, header+len(body))
	packet[0], packet[8], packet[9] = 0x45, ttl, protocolVRRP
	binary.BigEndian.PutUint16(packet[2:], uint16(header+len(body)))
	copy(packet[12:], from[:])
	copy(packet[16:], destination[:])
	return append(packet, body...)
}

// checksum is that of RFC 5798, with the pseudo-header.
func checksum(body []byte, from, to [4]byte) uint16 {
	pseudo := append(append(append([]byte{}, from[:]...), to[:]...), 0, protocolVRRP, 0, byte(len(body)))
	sum := uint32(0)
	body = append([]byte(nil), body...)
	body[6], body[7] = 0, 0 // its own field
	for _, part := range [][]byte{pseudo, body} {
		for i := 0; i+1 < len(part); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(part[i:]))
		}
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
