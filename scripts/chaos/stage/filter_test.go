package stage

import (
	"net"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/lab/labtest"
	"github.com/tandemlb/tandem/scripts/chaos/plan"
)

// arrive sends datagrams from a to b and counts those that arrive, until all have or none
// has for a while.
func arrive(t *testing.T, from, to func(func() error) error, n int) (count int) {
	t.Helper()
	var sink, source net.PacketConn
	listen := func(conn *net.PacketConn) func() error {
		return func() (err error) { *conn, err = net.ListenPacket("udp4", ":0"); return err }
	}
	if err := to(listen(&sink)); err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	if err := from(listen(&source)); err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	address := &net.UDPAddr{IP: net.IPv4(10, 0, 0, 2), Port: sink.LocalAddr().(*net.UDPAddr).Port}
	for range n {
		if _, err := source.WriteTo([]byte("x"), address); err != nil {
			t.Fatal(err)
		}
	}
	b := make([]byte, 8)
	for count < n {
		_ = sink.SetReadDeadline(time.Now().Add(time.Second))
		if _, _, err := sink.ReadFrom(b); err != nil {
			break
		}
		count++
	}
	return count
}

func TestFilterLosesWhatItIsToldTo(t *testing.T) {
	l := labtest.New(t, labtest.Host("a", "10.0.0.1/24"), labtest.Host("b", "10.0.0.2/24"), labtest.Host("c", "10.0.0.3/24"))
	f := filter{l}
	const n = 200
	for i, test := range []struct {
		name        string
		part        string
		percent     int
		ways        []way
		least, most int
	}{
		{"all", plan.Everything, 100, []way{{"a", "b"}}, 0, 0},
		{"all from a", plan.Everything, 100, []way{{"a", ""}}, 0, 0},
		{"all but the heartbeat", plan.Gossip, 100, []way{{"a", "b"}}, 0, 0},
		{"the heartbeat alone", plan.Heartbeat, 100, []way{{"a", "b"}}, n, n},
		{"the other way", plan.Gossip, 100, []way{{"b", "a"}}, n, n},
		{"another host", plan.Everything, 100, []way{{"a", "c"}, {"c", ""}}, n, n},
		{"half", plan.Gossip, 50, []way{{"a", "b"}}, n / 4, 3 * n / 4},
	} {
		arrive(t, l.Host("a").Do, l.Host("b").Do, 1) // ARP is done
		if err := f.lose(i, test.part, test.percent, test.ways...); err != nil {
			t.Fatal(err)
		}
		if got := arrive(t, l.Host("a").Do, l.Host("b").Do, n); got < test.least || got > test.most {
			t.Errorf("%s: %d of %d arrive, want %d to %d", test.name, got, n, test.least, test.most)
		}
		if err := f.pass(i); err != nil {
			t.Fatal(err)
		}
		if got := arrive(t, l.Host("a").Do, l.Host("b").Do, n); got != n {
			t.Errorf("%s: %d of %d arrive after it", test.name, got, n)
		}
	}
}
