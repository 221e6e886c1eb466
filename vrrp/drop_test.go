package vrrp_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"
	"time"

	"github.com/tandemlb/tandem/vrrp"
)

// Every reason to drop a packet can be met, is counted by the router that met it,
// and is no other's. Those of the IP header are met before a router is.
func TestEveryDropHasItsPacket(t *testing.T) {
	type refused func(*testing.T, *vrrp.Router) error
	from := func(change func(*vrrp.Packet)) refused {
		return func(t *testing.T, r *vrrp.Router) error {
			p := packet(t, upper, advert(250), vrrp.MessageOnly)
			if r.Params().Version == 2 {
				p = packet(t, upper, advert2(250), vrrp.MessageOnly)
			}
			change(&p)
			_, err := r.Accept(p)
			return err
		}
	}
	set := func(i int, v byte) refused {
		return from(func(p *vrrp.Packet) { p.Payload[i] = v; resum(p.Payload) })
	}
	raw := func(s string) refused {
		return func(t *testing.T, _ *vrrp.Router) error {
			_, err := vrrp.ParseIPv4(unhex(t, s))
			return err
		}
	}
	version2, unicast := params2(), params()
	unicast.Peers = addrs("192.0.2.13")
	reasons := []struct {
		want   vrrp.Drop
		params vrrp.Params
		packet refused
	}{
		{vrrp.DropIPHeader, params(), raw("45")},
		{vrrp.DropProtocol, params(), raw("45 c0 0020 0001 0000 ff 11 179f c00002fb e0000012" + capturedBody)},
		{vrrp.DropFamily, params(), from(func(p *vrrp.Packet) { p.Header = header6 })},
		{vrrp.DropOwn, params(), from(func(p *vrrp.Packet) { p.Source = self })},
		{vrrp.DropUnknownPeer, unicast, from(func(*vrrp.Packet) {})},
		{vrrp.DropTTL, params(), from(func(p *vrrp.Packet) { p.TTL = 64 })},
		{vrrp.DropLength, params(), set(3, 2)},
		{vrrp.DropVRID, params(), set(1, 52)},
		{vrrp.DropVersion, params(), set(0, 0x41)},
		{vrrp.DropType, params(), set(0, 0x32)},
		{vrrp.DropChecksum, params(), from(func(p *vrrp.Packet) { p.Payload[6]++ })},
		{vrrp.DropCount, params(), from(func(p *vrrp.Packet) { p.Payload[3] = 0; p.Payload = resum(p.Payload[:8]) })},
		{vrrp.DropInterval, params(), set(5, 0)},
		{vrrp.DropAuth, version2, set(4, 1)},
		{vrrp.DropIntervalMismatch, version2, set(5, 2)},
		{vrrp.DropAddresses, version2, set(11, 99)},
	}
	met := make(map[string]bool)
	for _, tt := range reasons {
		met[string(tt.want)] = true
		t.Run(string(tt.want), func(t *testing.T) {
			r := newRouter(t, tt.params)
			r.Startup(epoch)
			next, role := r.Next(), r.Role()
			err := tt.packet(t, r)
			if got := vrrp.DropOf(err); got != tt.want {
				t.Fatalf("drop reason is %q (%v), want %q", got, err, tt.want)
			}
			wantNext(t, r, next)
			wantRole(t, r, role)
			s := r.Status()
			if tt.want == vrrp.DropIPHeader || tt.want == vrrp.DropProtocol {
				return
			}
			if s.LastDrop != tt.want || s.Counters.Dropped[tt.want] != 1 || len(s.Counters.Dropped) != 1 {
				t.Errorf("last drop %q, counted %v; want %q once", s.LastDrop, s.Counters.Dropped, tt.want)
			}
		})
	}
	for _, name := range declaredDrops(t) {
		if !met[name] {
			t.Errorf("no packet is dropped for %q", name)
		}
	}
}

// declaredDrops returns the values of all constants of type Drop.
func declaredDrops(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "drop.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	ast.Inspect(file, func(n ast.Node) bool {
		s, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := s.Type.(*ast.Ident); ok && id.Name == "Drop" {
			value, err := strconv.Unquote(s.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, value)
		}
		return true
	})
	if len(all) < 10 {
		t.Fatalf("found only %d reasons", len(all))
	}
	return all
}

func TestLastDropIsTheNewest(t *testing.T) {
	r := newRouter(t, params())
	for _, ttl := range []uint8{64, 255, 1} {
		p := packet(t, upper, advert(100), vrrp.PseudoHeader)
		p.TTL = ttl
		if ttl == 255 {
			p.Payload[7]++
		}
		if _, err := r.Accept(p); err == nil {
			t.Fatal("accepted a bad packet")
		}
	}
	if got := r.Status().LastDrop; got != vrrp.DropTTL {
		t.Errorf("last drop is %q, want %q", got, vrrp.DropTTL)
	}
	accept(t, r, upper, advert(100), vrrp.PseudoHeader)
	if got := r.Status().LastDrop; got != vrrp.DropTTL {
		t.Errorf("last drop is %q after a good packet, want %q", got, vrrp.DropTTL)
	}
}

func TestStallsAreCounted(t *testing.T) {
	r, _ := active(t, params())
	if s := r.Status(); s.Slept != 0 || s.Counters.Stalls != 0 {
		t.Fatalf("slept %v, %d stalls, before any", s.Slept, s.Counters.Stalls)
	}
	r.Tick(r.Next().Add(time.Second))
	r.Tick(r.Next().Add(2 * time.Second))
	r.Tick(r.Next())
	if s := r.Status(); s.Slept != 2*time.Second || s.Counters.Stalls != 2 {
		t.Errorf("slept %v, %d stalls; want 2s, 2", s.Slept, s.Counters.Stalls)
	}
}
