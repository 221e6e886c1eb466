package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/vrrp"
)

// For how many advertisements nothing must happen.
const (
	someIntervals = 8
	manyIntervals = 20
)

// answer serves the VIP's clients on a host, as a proxy beside keepalived would.
func answer(t *testing.T, h *lab.Host) {
	t.Helper()
	ln, err := h.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Listener.Close()
	server.Listener = ln
	server.Start()
	t.Cleanup(server.Close)
}

// stop has the node's program end in good order.
func (n *node) stop() {
	n.t.Helper()
	if err := n.proc.Signal(syscall.SIGTERM); err != nil {
		n.t.Fatal(err)
	}
	if err := n.proc.Err(); err != nil {
		n.t.Errorf("exit of %s: %v", n.name, err)
	}
}

// kill kills all processes of the node at once. keepalived's VRRP process would
// otherwise resign on the death of its parent.
func (n *node) kill() {
	n.t.Helper()
	if err := lab.Kill(n.proc); err != nil {
		n.t.Fatal(err)
	}
	<-n.proc.Done()
}

// duel is a node of Tandem beside keepalived, both at rest.
type duel struct {
	*pair  // for the lab and its client: the nodes are the two below
	tandem *node
	rival  *keepalived
}

// newDuel gives Tandem's node a name and a priority.
func newDuel(t *testing.T, at string, priority int, rival keepalivedConfig) *duel {
	t.Helper()
	s := scene(t)
	other := map[string]string{lb1: lb2, lb2: lb1}[at]
	d := &duel{
		pair:   &pair{Scene: s, t: t},
		tandem: newNode(t, s, at, besideKeepalived(at, other, priority)),
		rival:  newKeepalived(t, s, other, rival),
	}
	answer(t, d.rival.host)
	return d
}

// besideKeepalived is the config of a node of that priority. The other node does
// not exist, and has a priority for the config to be valid.
func besideKeepalived(at, other string, priority int) string {
	return pairConfig(fmt.Sprintf("preempt: 300ms, priority: {%s: %d, %s: 254}", at, priority, other))
}

// startAhead starts keepalived, and Tandem, which preempts it.
func (d *duel) startAhead() {
	d.t.Helper()
	d.rival.start()
	d.expectOwner(d.rival.node, patience)
	d.tandem.start()
	d.expectReason(d.waitActive(), "took over from lower priority 150 of 10.77.0.2")
}

// startBehind starts keepalived, and Tandem once keepalived owns the VIP.
func (d *duel) startBehind() {
	d.t.Helper()
	d.rival.start()
	d.expectOwner(d.rival.node, patience)
	d.tandem.start()
	d.waitBackup()
}

// waitBackup waits until Tandem is the Backup of keepalived on lb2 with priority
// 200, and has heard it.
func (d *duel) waitBackup() *admin.Status {
	d.t.Helper()
	return d.tandem.waitStatus("is the backup of keepalived", func(s *admin.Status) bool {
		v := s.VIPs[0]
		return s.Fit && v.Role == vrrp.Backup && !v.Holds && v.Active.String() == "10.77.0.2" && v.ActivePrio == 200 && v.Counters.Received > 0
	})
}

// waitActive waits until Tandem is Active and holds the VIP.
func (d *duel) waitActive() *admin.Status {
	d.t.Helper()
	return d.tandem.waitStatus("is active", func(s *admin.Status) bool { return s.VIPs[0].Role == vrrp.Active && s.VIPs[0].Holds })
}

// expectPeace waits until count, a counter of Tandem's, has grown by n, and fails
// if the election has moved by then.
func (d *duel) expectPeace(owner *node, n uint64, count func(vrrp.Counters) uint64) *admin.Status {
	d.t.Helper()
	d.expectOwner(owner, patience)
	before := d.tandem.waitStatus("knows", func(s *admin.Status) bool {
		return (s.VIPs[0].Role == vrrp.Active) == (owner == d.tandem) // the kernel is told before the supervisor
	}).VIPs[0]
	after := d.tandem.waitStatus("goes on", func(s *admin.Status) bool {
		return count(s.VIPs[0].Counters) >= count(before.Counters)+n
	})
	if v := after.VIPs[0]; !v.Since.Equal(before.Since) || v.Counters.Transitions != before.Counters.Transitions {
		d.t.Errorf("Tandem was %v since %v (%s), is %v since %v (%s)", before.Role, before.Since, before.Reason, v.Role, v.Since, v.Reason)
	}
	if owners, err := d.Owners(); err != nil || !slices.Equal(owners, []string{owner.name}) {
		d.t.Errorf("owners %v, %v; want %s", owners, err, owner.name)
	}
	return after
}

// expectHarmony fails if Tandem has not heard keepalived, or not understood it.
func (d *duel) expectHarmony(s *admin.Status) {
	d.t.Helper()
	c := s.VIPs[0].Counters
	if c.Received == 0 || len(c.Dropped) > 0 || len(s.Agent.Dropped) > 0 {
		d.t.Errorf("Tandem accepted %d advertisements and dropped %v; of no VIP: %v", c.Received, c.Dropped, s.Agent.Dropped)
	}
}

// expectReason fails if Tandem gives another reason for its role.
func (d *duel) expectReason(s *admin.Status, prefix string) {
	d.t.Helper()
	if got := s.VIPs[0].Reason; !strings.HasPrefix(got, prefix) {
		d.t.Errorf("Tandem is %v because of %q, want %q", s.VIPs[0].Role, got, prefix)
	}
}

func sent(c vrrp.Counters) uint64     { return c.Sent }
func received(c vrrp.Counters) uint64 { return c.Received }

func TestKeepalivedIsTheBackup(t *testing.T) {
	d := newDuel(t, lb1, 200, keepalivedConfig{priority: 150})
	d.startAhead()
	d.expectHarmony(d.expectPeace(d.tandem, manyIntervals, sent))

	t.Log("# the node dies")
	d.tandem.kill()
	d.tandem.waitGone(leaseEnds)
	d.expectOwner(d.rival.node, patience)

	t.Log("# it comes back")
	d.tandem.start()
	d.expectReason(d.waitActive(), "took over from lower priority 150 of 10.77.0.2")
	d.expectHarmony(d.expectPeace(d.tandem, someIntervals, sent))
}

func TestTandemHandsOverToKeepalived(t *testing.T) {
	d := newDuel(t, lb1, 200, keepalivedConfig{priority: 150})
	d.startAhead()
	d.expectHarmony(d.expectPeace(d.tandem, someIntervals, sent))
	if err := d.tandem.proc.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	// The look at lb1 comes first: an address that moves between the two looks
	// is seen on lb2.
	d.tandem.eventually(patience, "keepalived alone has the VIP", func() (bool, string) {
		owners, err := d.Owners()
		if err != nil || len(owners) == 0 {
			t.Fatalf("the VIP is held by %v, %v", owners, err)
		}
		return slices.Equal(owners, []string{d.rival.name}), fmt.Sprintf("owners %v", owners)
	})
	if err := d.tandem.proc.Err(); err != nil {
		t.Errorf("exit: %v", err)
	}
	d.expectOwner(d.rival.node, patience)
}

func TestKeepalivedResignsAndReturns(t *testing.T) {
	d := newDuel(t, lb1, 150, keepalivedConfig{priority: 200})
	d.startBehind()
	d.expectHarmony(d.expectPeace(d.rival.node, manyIntervals, received))

	t.Log("# it stops in good order")
	d.rival.stop()
	s := d.waitActive()
	d.expectReason(s, "the Active router resigned (priority 0)")
	if s.VIPs[0].Counters.ReceivedZero == 0 {
		t.Error("no resignation was counted")
	}
	d.expectOwner(d.tandem, patience)

	t.Log("# it comes back")
	d.rival.start()
	d.expectReason(d.waitBackup(), "higher priority 200 from 10.77.0.2")
	d.expectHarmony(d.expectPeace(d.rival.node, someIntervals, received))
}

func TestKeepalivedIsKilled(t *testing.T) {
	d := newDuel(t, lb1, 150, keepalivedConfig{priority: 200})
	d.startBehind()
	d.rival.kill()
	s := d.waitActive()
	d.expectReason(s, "no advertisement from the Active router for ")
	d.expectHarmony(s)

	// Its address has no lease: it stays until somebody takes it away.
	if err := d.rival.host.DelAddress(failover.VIP()); err != nil {
		t.Fatal(err)
	}
	d.expectPeace(d.tandem, someIntervals, sent)
}

// TestKeepalivedDiffers is about configs that have drifted apart: to ignore the
// Active router because of that would make two.
func TestKeepalivedDiffers(t *testing.T) {
	for _, tc := range []struct {
		name     string
		rival    keepalivedConfig
		interval time.Duration // that Tandem learns
		mismatch func(vrrp.Counters) uint64
	}{
		{"it advertises less often", keepalivedConfig{priority: 200, interval: "0.3"}, 300 * time.Millisecond,
			func(c vrrp.Counters) uint64 { return c.IntervalMismatch }},
		{"it has one more address", keepalivedConfig{priority: 200, more: "10.77.0.101/24"}, 100 * time.Millisecond,
			func(c vrrp.Counters) uint64 { return c.AddressMismatch }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDuel(t, lb1, 150, tc.rival)
			d.startBehind()
			s := d.expectPeace(d.rival.node, someIntervals, tc.mismatch)
			d.expectHarmony(s)
			if got := s.VIPs[0].Interval; got != tc.interval {
				t.Errorf("interval %v, want %v", got, tc.interval)
			}
			d.expectAlarm(s.VIPs[0].Counters.AddressMismatch > 0)

			t.Log("# its death is told by its own interval")
			d.rival.kill()
			s = d.waitActive()
			text, _ := strings.CutPrefix(s.VIPs[0].Reason, "no advertisement from the Active router for ")
			if silence, err := time.ParseDuration(text); err != nil || silence < 3*tc.interval {
				t.Errorf("Tandem took over because of %q, want a silence of more than %v", s.VIPs[0].Reason, 3*tc.interval)
			}
		})
	}
}

// expectAlarm fails unless the operator is told of other addresses, or of nothing.
func (d *duel) expectAlarm(alarm bool) {
	d.t.Helper()
	for command, line := range map[string]string{
		"status":  "ALARM: another router advertises other addresses",
		"explain": "10.77.0.2 advertises other addresses: the configs have drifted apart",
	} {
		if text, err := d.tandem.ask(command, "--socket", d.tandem.socket); err != nil || strings.Contains(text, line) != alarm {
			d.t.Errorf("%s: %v, want the alarm: %v\n%s", command, err, alarm, text)
		}
	}
}

// TestPartitionBesideKeepalived cuts off who is to win, so that the client must
// unlearn the loser.
func TestPartitionBesideKeepalived(t *testing.T) {
	for _, tc := range []struct {
		name     string
		at       string
		priority int
		rival    int
		reason   string // for which Tandem yields; "" when it is to win
	}{
		{"Tandem has the higher priority", lb1, 200, 150, ""},
		{"keepalived has the higher priority", lb1, 150, 200, "higher priority 200 from 10.77.0.2"},
		{"equals, Tandem has the higher address", lb2, 150, 150, ""},
		{"equals, keepalived has the higher address", lb1, 150, 150, "equal priority 150 from 10.77.0.2, the higher address"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDuel(t, tc.at, tc.priority, keepalivedConfig{priority: tc.rival})
			winner, loser := d.tandem, d.rival.node
			if tc.reason != "" {
				winner, loser = loser, winner
			}
			if err := winner.host.CutSilently(); err != nil {
				t.Fatal(err)
			}
			d.rival.start()
			d.tandem.start()
			active := d.waitActive()
			loser.eventually(patience, "both have the VIP, and the loser serves", func() (bool, string) {
				_, err := d.get("/")
				return err == nil && winner.has() && loser.has(), fmt.Sprint(err)
			})
			if err := winner.host.Heal(); err != nil {
				t.Fatal(err)
			}
			count := sent
			if winner == d.rival.node {
				count = received
			}
			s := d.expectPeace(winner, someIntervals, count)
			d.expectHarmony(s)
			d.expectReason(s, tc.reason)
			if winner == d.tandem && !s.VIPs[0].Since.Equal(active.VIPs[0].Since) {
				t.Errorf("the winner did not stay active: %+v", s.VIPs[0])
			}
		})
	}
}

// TestKeepalivedSpeaksVersion2 is its default for IPv4. The two cannot hear each
// other, so both are Active: what can be done about it is to say so.
func TestKeepalivedSpeaksVersion2(t *testing.T) {
	d := newDuel(t, lb1, 150, keepalivedConfig{version: 2, interval: "1", priority: 200})
	d.rival.start()
	d.tandem.start()
	s := d.tandem.waitStatus("drops what it hears", func(s *admin.Status) bool {
		return s.VIPs[0].Role == vrrp.Active && s.VIPs[0].Counters.Dropped[vrrp.DropVersion] > 0
	})
	if got := s.VIPs[0].Counters.Received; got != 0 {
		t.Errorf("Tandem accepted %d advertisements", got)
	}
	d.tandem.eventually(patience, "both have the VIP", func() (bool, string) { return d.tandem.has() && d.rival.has(), "" })
	out, err := d.tandem.ask("status", "--json")
	var shown struct {
		VIPs []struct {
			Counters struct{ Dropped map[string]uint64 }
		}
	}
	if err := errors.Join(err, json.Unmarshal([]byte(out), &shown)); err != nil || len(shown.VIPs) != 1 || shown.VIPs[0].Counters.Dropped["version"] == 0 {
		t.Errorf("status --json does not count version: %v\n%s", err, out)
	}

	t.Log("# an operator sets it to version 3")
	d.rival.stop()
	d.rival.write(keepalivedConfig{priority: 200}.String())
	d.rival.start()
	d.expectReason(d.waitBackup(), "higher priority 200 from 10.77.0.2")
	d.expectOwner(d.rival.node, patience)
}

// heard is an advertisement as it was on the wire.
type heard struct {
	EthernetTo, From, To string
	TOS, TTL             uint8
	Payload              string // hexadecimal
}

// TestAdvertisementsAreThoseOfKeepalived has both say the same in turn, from the
// same host: the checksum covers the address of the sender.
func TestAdvertisementsAreThoseOfKeepalived(t *testing.T) {
	rivalries := append([]rivalry{{"version 3", "advertise: 100ms", keepalivedConfig{}, ""}}, rivalries...)
	for _, r := range rivalries {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			s := dualScene(t)
			r.rival.priority = 200
			if r.rival.peer != "" {
				r.rival.peer = "10.77.0.2"
			}
			rival := newKeepalived(t, s, lb1, r.rival)
			tandem := newNode(t, s, lb1, r.config(200))
			wire := listen(t, s.Lab.Host(failover.Client), r.rival)
			if r.rival.peer != "" {
				wire = listen(t, s.Lab.Host(lb2), r.rival)
			}
			speech := func(start, stop func()) [2]heard {
				start()
				advert := hear(t, wire, false)
				stop()
				return [2]heard{advert, hear(t, wire, true)}
			}
			want := speech(rival.start, rival.stop)
			got := speech(tandem.start, tandem.stop)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("advertisement and resignation (-keepalived +Tandem):\n%s", diff)
			}
		})
	}
}

// listen opens a socket on a host that receives every frame of the family.
func listen(t *testing.T, h *lab.Host, k keepalivedConfig) *packet.Conn {
	t.Helper()
	var c *packet.Conn
	err := h.Do(func() error {
		ifi, err := net.InterfaceByName(lab.Interface)
		if err != nil {
			return err
		}
		family := unix.ETH_P_IP
		if k.ipv6 {
			family = unix.ETH_P_IPV6
		}
		c, err = packet.Listen(ifi, packet.Raw, family, nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// hear waits for the next advertisement that is, or is not, a resignation.
func hear(t *testing.T, c *packet.Conn, resignation bool) heard {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, 2048)
	for {
		n, _, err := c.ReadFrom(frame)
		if err != nil {
			t.Fatalf("waiting for an advertisement: %v", err)
		}
		if a, p := overheard(frame[:n]); len(p) >= 8 && (p[2] == 0) == resignation {
			return a
		}
	}
}

// overheard takes a frame with a VRRP packet apart; the payload is nil if it is none.
func overheard(frame []byte) (heard, []byte) {
	a := heard{EthernetTo: net.HardwareAddr(frame[:6]).String()}
	b := frame[ethernetHeader:]
	if b[0]>>4 == 6 {
		const header, protocol = 40, 112
		if len(b) < header || b[6] != protocol {
			return a, nil
		}
		a.From, a.To = netip.AddrFrom16([16]byte(b[8:])).String(), netip.AddrFrom16([16]byte(b[24:])).String()
		a.TOS, a.TTL, a.Payload = b[0]<<4|b[1]>>4, b[7], hex.EncodeToString(b[header:])
		return a, b[header:]
	}
	p, err := vrrp.ParseIPv4(b)
	if err != nil {
		return a, nil
	}
	a.From, a.To = p.Source.String(), p.Destination.String()
	a.TOS, a.TTL, a.Payload = b[1], p.TTL, hex.EncodeToString(p.Payload)
	return a, p.Payload
}
