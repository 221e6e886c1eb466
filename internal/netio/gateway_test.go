package netio

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

func TestReachability(t *testing.T) {
	for _, tt := range []struct {
		name   string
		misses int
		notes  string // a: answered, m: missed
		want   string // the verdict after each note where it has changed: a: alive, l: lost
	}{
		{"first answer", 3, "aaa", "a.."},
		{"never an answer", 3, "mmmmm", "..l.."},
		{"answer before the verdict", 3, "mmamm", "..a.."},
		{"lost after misses in a row", 3, "ammammm", "a.....l"},
		{"back after one answer", 2, "ammma", "a.l.a"},
		{"lost again", 2, "mmamm", ".la.l"},
		{"one miss is enough", 1, "amam", "alal"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := reachability{misses: tt.misses}
			var got strings.Builder
			for _, n := range tt.notes {
				switch changed := r.note(n == 'a'); {
				case !changed:
					got.WriteByte('.')
				case r.alive:
					got.WriteByte('a')
				default:
					got.WriteByte('l')
				}
			}
			if got.String() != tt.want {
				t.Errorf("verdicts %s, want %s", got.String(), tt.want)
			}
		})
	}
}

func TestJitter(t *testing.T) {
	for fraction, want := range map[float64]time.Duration{
		0: 900 * time.Millisecond, 0.5: time.Second, 1: 1100 * time.Millisecond,
	} {
		if got := jitter(time.Second, fraction).Round(time.Microsecond); got != want {
			t.Errorf("jitter of 1 s at %g = %s, want %s", fraction, got, want)
		}
	}
}

// gateways are the gateway options of the first host for the second.
var gateways = map[string]GatewayOptions{
	"IPv4": {
		Interface: "eth0", Self: netip.MustParseAddr("192.0.2.1"), Gateway: netip.MustParseAddr("192.0.2.2"),
		Every: 20 * time.Millisecond, Misses: 3,
	},
	"IPv6": {
		Interface: "eth0", Self: netip.MustParseAddr("fe80::1"), Gateway: netip.MustParseAddr("fe80::2"),
		Every: 20 * time.Millisecond, Misses: 3,
	},
}

// verdicts are what WatchGateway calls changed with.
type verdicts struct {
	t *testing.T
	c chan bool
}

// watchGateway watches from the host until the end of the test.
func (h host) watchGateway(o GatewayOptions) verdicts {
	h.t.Helper()
	verdictC, endC := make(chan bool, 100), make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends in the namespace
		err := netns.Set(h.ns)
		if err == nil {
			err = WatchGateway(ctx, o, func(alive bool) { verdictC <- alive })
		}
		endC <- err
	}()
	h.t.Cleanup(func() {
		cancel()
		select {
		case err := <-endC:
			if err != nil {
				h.t.Errorf("WatchGateway = %v after its context was done, want nil", err)
			}
		case <-time.After(10 * time.Second):
			h.t.Error("WatchGateway goes on 10 s after its context was done")
		}
	})
	return verdicts{h.t, verdictC}
}

// expect waits for the next verdict.
func (v verdicts) expect(want bool) {
	v.t.Helper()
	select {
	case got := <-v.c:
		if got != want {
			v.t.Fatalf("alive: %t, want %t", got, want)
		}
	case <-time.After(10 * time.Second):
		v.t.Fatalf("alive is not %t within 10 s", want)
	}
}

// none checks that the verdict has not changed.
func (v verdicts) none() {
	v.t.Helper()
	select {
	case got := <-v.c:
		v.t.Errorf("alive: %t, want no other verdict", got)
	default:
	}
}

func TestGatewayLostAndFound(t *testing.T) {
	for name, o := range gateways {
		t.Run(name, func(t *testing.T) {
			a, b := newHosts(t)
			cidr := o.Gateway.String() + "/24"
			if o.Gateway.Is6() {
				cidr = o.Gateway.String() + "/64"
			}
			w := a.watchGateway(o)
			w.expect(true)
			t.Log("# the gateway loses its address")
			b.remove(cidr)
			w.expect(false)
			b.add(cidr)
			w.expect(true)
			t.Log("# its interface goes down")
			b.down()
			w.expect(false)
			b.up()
			if o.Gateway.Is6() {
				b.add(cidr)
			}
			w.expect(true)
			t.Log("# this host's interface goes down")
			a.down()
			w.expect(false)
			a.up()
			w.expect(true)
			t.Log("# and is replaced")
			must(t, a.nl.LinkDel(a.link()))
			w.expect(false)
			cable(a, b)
			w.expect(true)
		})
	}
}

func TestGatewayThatWasNeverThere(t *testing.T) {
	for name, o := range gateways {
		t.Run(name, func(t *testing.T) {
			a, b := newHosts(t)
			etherType, ask := uint16(unix.ETH_P_ARP), func(f []byte) bool { return bytes.Equal(f[38:42], []byte{192, 0, 2, 7}) }
			o.Gateway = netip.MustParseAddr("192.0.2.7")
			if name == "IPv6" {
				o.Gateway = netip.MustParseAddr("fe80::7")
				etherType, ask = unix.ETH_P_IPV6, func(f []byte) bool { return f[54] == 135 && f[77] == 7 }
			}
			t.Log("# addresses that the kernel might ask from")
			a.add("192.0.2.100/24")
			a.add("fe80::100/64")
			frames := b.capture(etherType)
			w := a.watchGateway(o)
			w.expect(false)
			for range o.Misses {
				got := frames.next(ask)
				if o.Self.Is4() {
					checkFrame(t, arpBytes(1, a.mac(), "192.0.2.1", make([]byte, 6), "192.0.2.7"), got)
					continue
				}
				checkFrame(t, bytes.Join([][]byte{
					{0x33, 0x33, 0xff, 0, 0, 7}, a.mac(), {0x86, 0xdd},
					{0x60, 0, 0, 0, 0, 32, 58, 255},
					o.Self.AsSlice(), netip.MustParseAddr("ff02::1:ff00:7").AsSlice(),
					{135, 0, 0, 0}, {0, 0, 0, 0}, o.Gateway.AsSlice(),
					{1, 1}, a.mac(), // source link-layer address
				}, nil), got)
			}
			t.Log("# what others say about it is no answer")
			announcer := b.announcer(nil)
			must(t, announcer.Announce(o.Gateway))
			for range 2 * o.Misses {
				frames.next(ask)
			}
			w.none()
			t.Log("# but it is in time when it does come")
			if o.Self.Is4() {
				b.add("192.0.2.7/24")
			} else {
				b.add("fe80::7/64")
			}
			w.expect(true)
		})
	}
}

func TestGatewayAnswers(t *testing.T) {
	self, gateway := gateways["IPv6"].Self, gateways["IPv6"].Gateway
	answer4 := arpBytes(2, otherMAC, "192.0.2.2", virtualMAC, "192.0.2.1")
	answer6 := advertisementOf(t, gateway)
	copy(answer6[38:], self.AsSlice())
	for _, tt := range []struct {
		name    string
		options GatewayOptions
		frame   []byte
		want    bool
	}{
		{"ARP reply", gateways["IPv4"], answer4, true},
		{"ARP request of the gateway", gateways["IPv4"], patch(answer4, arpOperation+1, 1), false},
		{"to another host", gateways["IPv4"], patch(answer4, arpTarget+3, 9), false},
		{"of another host", gateways["IPv4"], patch(answer4, arpSender+3, 9), false},
		{"advertisement", gateways["IPv6"], answer6, true},
		{"advertisement to all", gateways["IPv6"], advertisementOf(t, gateway), false},
		{"advertisement of another address", gateways["IPv6"], patch(answer6, neighbourAt+15, 9), false},
		{"advertisement to another host", gateways["IPv6"], patch(answer6, ipv6Destination+15, 9), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			program := tt.options.answersARP
			if tt.options.Self.Is6() {
				program = tt.options.answersNDP
			}
			if got := admits(t, program(), tt.frame); got != tt.want {
				t.Errorf("admitted: %t, want %t", got, tt.want)
			}
		})
	}
}

// What came while this host was stalled counts, though its time is over.
func TestAnswerThatWaitedCounts(t *testing.T) {
	a, b := newHosts(t)
	b.remove("192.0.2.2/24")
	var verdicts []bool
	w := gatewayWatch{
		o: gateways["IPv4"], count: reachability{misses: 1},
		changed: func(alive bool) { verdicts = append(verdicts, alive) },
	}
	a.do(func() {
		var err error
		w.conn, err = w.o.listen()
		must(t, err)
	})
	defer w.close()
	b.sendFrames(arpBytes(2, b.mac(), "192.0.2.2", a.mac(), "192.0.2.1"))
	eventually(t, "answer", func() (arrived bool) {
		must(t, w.conn.raw.Control(func(fd uintptr) {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
			must(t, err)
			arrived = n > 0
		}))
		return arrived
	})
	for _, want := range [][]bool{{true}, {true, false}} {
		must(t, w.round(context.Background(), time.Now().Add(-time.Hour)))
		if !slices.Equal(verdicts, want) {
			t.Errorf("verdicts %v, want %v", verdicts, want)
		}
	}
}

func TestWatchGatewayStopsBetweenQuestions(t *testing.T) {
	a, _ := newHosts(t)
	o := gateways["IPv4"]
	o.Every = time.Hour
	a.watchGateway(o).expect(true) // the cleanup of which checks that it ends
	o.Interface = "eth7"
	a.watchGateway(o)
}

func TestWatchGatewayErrors(t *testing.T) {
	a, _ := newHosts(t)
	for _, tt := range []struct {
		name   string
		change func(o *GatewayOptions)
		want   string
	}{
		{"loopback", func(o *GatewayOptions) { o.Interface = "lo" }, `watch gateway 192.0.2.2 on "lo": not an Ethernet interface`},
		{"no self", func(o *GatewayOptions) { o.Self = netip.IPv4Unspecified() }, `"0.0.0.0" is not the address of a host`},
		{"other family", func(o *GatewayOptions) { o.Self = vip6 }, `2001:db8::1:100 cannot ask a gateway of the other address family`},
		{"no interval", func(o *GatewayOptions) { o.Every = 0 }, `interval 0s is not positive`},
		{"no misses", func(o *GatewayOptions) { o.Misses = 0 }, `0 misses: at least one question must go unanswered`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := gateways["IPv4"]
			tt.change(&o)
			a.do(func() {
				err := WatchGateway(context.Background(), o, func(bool) { t.Error("a verdict") })
				if err == nil || !strings.Contains(err.Error(), tt.want) || Retryable(err) {
					t.Errorf("error %v, want a final one with %q", err, tt.want)
				}
			})
		})
	}
}

// The gateway's answer goes to the MAC address that asks, which may change.
func TestGatewayIsAskedFromTheCurrentMAC(t *testing.T) {
	a, b := newHosts(t)
	frames := b.capture(unix.ETH_P_ARP)
	w := a.watchGateway(gateways["IPv4"])
	w.expect(true)
	other := net.HardwareAddr{0x02, 0, 0, 0, 0, 0x42}
	must(t, a.nl.LinkSetHardwareAddr(a.link(), other))
	frames.next(func(f []byte) bool { return f[21] == 1 && bytes.Equal(f[6:12], other) && bytes.Equal(f[22:28], other) })
}
