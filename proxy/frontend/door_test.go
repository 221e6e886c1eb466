package frontend

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/reactor"
)

// Clients that come again at once when they are turned away must not take all the time
// of those that are in.
func TestADoorRestsFromACrowd(t *testing.T) {
	const clients, each = 100, time.Millisecond // that it takes to turn one away
	b := start(t, "127.0.0.1", Options{TurnAway: func(c *reactor.Conn, _ Limit) {
		for began := time.Now(); time.Since(began) < each; {
		}
		_, _ = io.WriteString(c, "no")
	}})
	b.Limit(proxy.ListenerLimits{Connections: 1})
	in := b.dial(t, "")
	served(t, in)

	hold := make(chan struct{})
	for _, l := range b.reactor.Loops() {
		if err := l.Post(func() { <-hold }); err != nil {
			t.Fatal(err)
		}
	}
	var crowd []*net.TCPConn
	for range clients {
		crowd = append(crowd, b.dial(t, "")) // the kernel answers
	}
	close(hold)
	eventually(t, "the door to rest", b.door.resting.Load)
	for _, c := range crowd {
		if got := said(t, c); got != "no" {
			t.Errorf("told %q", got)
		}
	}
	if n := b.Traffic().Refused[string(Connections)]; n != clients {
		t.Errorf("%d were turned away, want all %d", n, clients)
	}

	eventually(t, "the door to open", func() bool { return !b.door.resting.Load() })

	t.Log("# those that are in are served, and room that is made is given away")
	served(t, in)
	in.Close()
	b.hasOpen(t, 0)
	served(t, b.dial(t, ""))
}

// A door that rests does not keep places empty, however long it would.
func TestADoorOpensForRoom(t *testing.T) {
	b := start(t, "127.0.0.1", Options{})
	b.Limit(proxy.ListenerLimits{Connections: 16})
	var in []*net.TCPConn
	for range 16 {
		in = append(in, b.dial(t, ""))
		served(t, in[len(in)-1])
	}
	number := b.door.rest(b.sockets.Load().all)
	if number == 0 || b.door.rest(nil) != 0 {
		t.Fatal("it rests twice at once")
	}
	b.barrier()              // it is closed
	waiting := b.dial(t, "") // in the kernel
	in[0].Close()
	b.hasOpen(t, 15)
	if !b.door.resting.Load() {
		t.Error("one place of sixteen has opened it")
	}
	in[1].Close()
	eventually(t, "the door to open", func() bool { return !b.door.resting.Load() })
	served(t, waiting)

	b.door.rest(b.sockets.Load().all)
	b.door.open(number)
	if !b.door.resting.Load() {
		t.Error("the time of an earlier rest has ended this one")
	}
	b.door.open(0)
}

func TestACrowdIsOfOneTurn(t *testing.T) {
	now := time.Unix(0, 0)
	d := newDoor(2)
	for turn := range 100 { // a steady trickle is none
		for range crowd/2 - 1 {
			if d.crowded(0, now.Add(time.Duration(turn)*time.Millisecond)) {
				t.Fatalf("a crowd in turn %d", turn)
			}
		}
	}
	for i := range crowd {
		if got, want := d.crowded(1, now), i == crowd/2-1; got != want {
			t.Errorf("connection %d: a crowd: %v, want %v", i, got, want)
		}
	}
	if d := newDoor(64); d.crowded(3, now) || !d.crowded(3, now) {
		t.Error("with many loops, two of one turn are a crowd")
	}
}
