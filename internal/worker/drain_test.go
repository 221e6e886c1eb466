package worker

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/proxy"
)

// busy is a worker with a request in flight, an idle connection and a TCP
// connection.
type busy struct {
	*supervisor
	next           chan struct{} // ends the request in flight
	spec           proxy.Spec
	idle, web, tcp client
	inFlight       io.Reader
}

func startBusy(t *testing.T) *busy {
	b := &busy{supervisor: startWorker(t), next: make(chan struct{})}
	slow, quick, db := web(t, waits(b.next)), web(t, says("quick")), echoes(t)
	b.spec = proxy.Spec{
		Listeners: []proxy.Listener{
			newSpecListener("slow", proxy.HTTP, "slow", b.bind(t, "slow")),
			newSpecListener("quick", proxy.HTTP, "quick", b.bind(t, "quick")),
			newSpecListener("db", proxy.TCP, "db", b.bind(t, "db")),
		},
		Pools: pools(newSpecPool("slow", slow), newSpecPool("quick", quick), newSpecPool("db", db)),
	}
	b.mustApply(t, b.spec)
	b.web = connect(t, b.spec.Listeners[0].Bind[0])
	b.inFlight = b.web.get(t).Body
	b.idle = connect(t, b.spec.Listeners[1].Bind[0])
	b.idle.ask(t)
	b.tcp = connect(t, b.spec.Listeners[2].Bind[0])
	b.tcp.echo(t, "before")
	return b
}

// finishes checks that what is in progress may finish, and that nothing new
// begins.
func (b *busy) finishes(t *testing.T) {
	t.Helper()
	for _, l := range b.spec.Listeners {
		refused(t, l.Bind[0])
		// Others can have the address.
		again, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(l.Bind[0]))
		if err != nil {
			t.Errorf("bind %s again: %v", l.Bind[0], err)
			continue
		}
		again.Close()
	}
	b.idle.end(t)
	b.tcp.echo(t, "during")
	select {
	case err := <-b.result:
		t.Fatalf("Run = %v before the connections ended", err)
	default:
	}
	b.next <- struct{}{}
	if got, err := io.ReadAll(b.inFlight); err != nil || string(got) != "12" {
		t.Errorf("response = %q, %v; want 12", got, err)
	}
	b.tcp.CloseWrite()
	if err := b.tcp.end(t); err != nil {
		t.Errorf("end of the TCP connection = %v, want a clean one", err)
	}
	b.ended(t)
}

// cut checks that what was in progress was ended by force.
func (b *busy) cutOff(t *testing.T) {
	t.Helper()
	b.ended(t)
	if _, err := io.ReadAll(b.inFlight); err == nil {
		t.Error("a response that was cut looks complete")
	}
	if err := b.tcp.end(t); err == nil {
		t.Error("a TCP connection that was cut ended clean")
	}
	close(b.next)
}

func TestDrain(t *testing.T) {
	b := startBusy(t)
	b.send(t, ipc.ToWorker{Drain: &ipc.Drain{Within: time.Hour}})
	b.send(t, ipc.ToWorker{Ping: &ipc.Ping{Seq: 7}})
	if got := await(t, b.pongs); got.Seq != 7 {
		t.Errorf("pong %d, want 7", got.Seq)
	}
	if got, want := b.apply(t, b.spec), "the worker is draining"; got != want {
		t.Errorf("config during the drain: %q, want %q", got, want)
	}
	b.finishes(t)
}

func TestDrainEnds(t *testing.T) {
	b := startBusy(t)
	b.send(t, ipc.ToWorker{Drain: &ipc.Drain{Within: time.Millisecond}})
	b.cutOff(t)
}

func TestDrainIsShortened(t *testing.T) {
	b := startBusy(t)
	b.send(t, ipc.ToWorker{Drain: &ipc.Drain{Within: time.Hour}})
	b.send(t, ipc.ToWorker{Drain: &ipc.Drain{}})
	_ = b.conn.Send(ipc.ToWorker{Drain: &ipc.Drain{Within: time.Hour}}) // it may have ended by now
	b.cutOff(t)
}

func TestDrainOfAnIdleWorker(t *testing.T) {
	s := startWorker(t)
	s.send(t, ipc.ToWorker{Drain: &ipc.Drain{Within: time.Hour}})
	s.ended(t)
}

func TestSupervisorDies(t *testing.T) {
	b := startBusy(t)
	b.conn.Close()
	b.finishes(t)
}

func TestContextEnds(t *testing.T) {
	b := startBusy(t)
	b.cancel()
	b.cutOff(t)
}
