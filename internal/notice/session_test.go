package notice

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestThePairWatchesEachOther(t *testing.T) {
	for name, key := range map[string][]byte{"with a key": testKey, "without a key": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			at1, at2 := newPair(t)
			a := run(t, Options{Self: at1, Peer: at2, Key: key, Node: "lb1"})
			b := run(t, Options{Self: at2, Peer: at1, Key: key, Node: "lb2"})
			a.says(a.expect(Connected, Unreachable), `"lb2"`)
			b.says(b.expect(Connected, Unreachable), `"lb1"`)

			t.Log("# a process that is stopped says goodbye")
			b.stop()
			a.says(a.expect(Goodbye), `"stopped"`)
			a.quiet(aWhile)

			t.Log("# a new one is found")
			b = run(t, Options{Self: at2, Peer: at1, Key: key, Node: "lb2"})
			a.expect(Connected)
			b.expect(Connected)

			t.Log("# a process that leaves still watches")
			b.Goodbye("upgrade")
			b.Goodbye("stopped")
			a.says(a.expect(Goodbye), `"upgrade"`)
			a.Goodbye("reload")
			b.says(b.expect(Goodbye), `"reload"`)
			a.stop()
			b.stop()
			a.quiet(0)
			b.quiet(0)
		})
	}
}

func TestGoodbyeIsSaidOnASessionThatIsBarelyThere(t *testing.T) {
	for i := range 50 {
		at1, at2 := newPair(t)
		a := run(t, Options{Self: at1, Peer: at2, Node: "lb1"})
		b := run(t, Options{Self: at2, Peer: at1, Node: "lb2"})
		b.expect(Connected, Unreachable) // a's own call is under way
		b.stop()
		deadline := time.After(50 * time.Millisecond)
		for waiting := true; waiting; {
			select {
			case e := <-a.Events():
				if e.Kind == Died || e.Kind == Lost {
					t.Fatalf("round %d: %s: %s", i, e.Kind, e.Evidence)
				}
				waiting = e.Kind != Goodbye
			case <-deadline:
				waiting = false // there was no session yet
			}
		}
		a.stop()
	}
}

func TestDeath(t *testing.T) {
	t.Parallel() // most of it is waiting
	at1, at2 := newPair(t)
	peer := listen(t, at2)
	a := run(t, Options{Self: at1, Peer: at2, Node: "lb1"})
	conn := peer.session()
	a.expect(Connected)

	t.Log("# the kernel of a dying process may close the session before the listener")
	reset(conn)
	caught := peer.accept()
	peer.ln.Close()
	reset(caught)
	a.says(a.expect(Died), `the session with "lb2" at `+at2.String()+" ended (reset), then: connection refused")

	t.Log("# it stays dead, quietly")
	a.quiet(aWhile)
}

func TestAFirewallIsBelievedOnce(t *testing.T) {
	t.Parallel() // most of it is waiting
	at1, at2 := newPair(t)
	peer := listen(t, at2)
	id := peer.id
	a := run(t, Options{Self: at1, Peer: at2, Node: "lb1"})
	conn := peer.session()
	a.expect(Connected)

	t.Log("# who closes the port and resets the session plays the firewall; the process lives")
	peer.ln.Close()
	reset(conn)
	died := a.expect(Died)
	a.Contradicted(died.At.Add(settle))
	a.says(a.expect(Distrusted), "was heard alive")

	t.Log("# the same again proves nothing")
	peer = listen(t, at2)
	peer.id = id
	conn = peer.session()
	a.expect(Connected)
	peer.ln.Close()
	reset(conn)
	a.says(a.expect(Lost), "such a proof was wrong before")
	a.quiet(aWhile)
}

func TestAResetProvesNothing(t *testing.T) {
	t.Parallel() // most of it is waiting
	at1, at2 := newPair(t)
	peer := listen(t, at2)
	a := run(t, Options{Self: at1, Peer: at2, Node: "lb1"})
	conn := peer.session()
	a.expect(Connected)
	for range 2 {
		reset(conn)
		conn = peer.session()
		a.says(a.expect(Lost), "the same process answers again")
		a.expect(Connected)
	}
}

func TestRestart(t *testing.T) {
	t.Parallel() // most of it is waiting
	at1, at2 := newPair(t)
	peer := listen(t, at2)
	a := run(t, Options{Self: at1, Peer: at2, Node: "lb1"})
	conn := peer.session()
	a.expect(Connected)

	t.Log("# the listener is there again when the survivor asks")
	peer.reboot()
	reset(conn)
	half := peer.session()
	a.says(a.expect(Died), "restarted")
	a.expect(Connected)

	t.Log("# a host that came back calls, while the survivor holds half a session")
	peer.reboot()
	caller, err := net.DialTCP("tcp", &net.TCPAddr{IP: at2.Addr().AsSlice()}, net.TCPAddrFromAddrPort(at1))
	if err != nil {
		t.Fatal(err)
	}
	defer caller.Close()
	if _, err := peer.id.call(caller); err != nil {
		t.Fatal(err)
	}
	peer.session()
	a.says(a.expect(Died), "restarted")
	a.expect(Connected)

	t.Log("# and lets go of it")
	half.SetReadDeadline(time.Now().Add(patience))
	if _, err := half.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the old session is still open: %v", err)
	}
}

func TestAFullBacklogProvesNothing(t *testing.T) {
	t.Parallel() // most of it is waiting
	at1, at2 := newPair(t)
	peer := listen(t, at2)
	a := run(t, Options{Self: at1, Peer: at2, Node: "lb1"})
	conn := peer.session()
	a.expect(Connected)

	t.Log("# one connection that nobody accepts, and there is no room for another")
	raw, err := peer.ln.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = unix.Listen(int(fd), 0) })
	if err != nil {
		t.Fatal(err)
	}
	waiting, err := net.Dial("tcp", at2.String())
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	reset(conn)
	a.says(a.expect(Lost), "timeout")
}

func TestASilentListenerProvesNothing(t *testing.T) {
	t.Parallel() // most of it is waiting
	at1, at2 := newPair(t)
	peer := listen(t, at2)
	a := run(t, Options{Self: at1, Peer: at2, Node: "lb1"})
	conn := peer.session()
	a.expect(Connected)
	reset(conn)
	peer.accept() // and not a word
	a.says(a.expect(Lost), "wait for an answer")
}

func TestRefusalsWithoutASessionAreToldOnce(t *testing.T) {
	t.Parallel() // most of it is waiting
	at1, at2 := newPair(t)
	a := run(t, Options{Self: at1, Peer: at2, Node: "lb1"})
	a.says(a.expect(Unreachable), "connection refused")
	a.quiet(aWhile)
	b := run(t, Options{Self: at2, Peer: at1, Node: "lb2"})
	b.expect(Connected)
	a.expect(Connected)
}

func TestOnlyTheKeyOpens(t *testing.T) {
	other := []byte(strings.Repeat("x", 32))
	for name, tc := range map[string]struct {
		key1, key2   []byte
		says1, says2 string
	}{
		"two keys":    {testKey, other, `"lb2" has another cluster key`, `"lb1" has another cluster key`},
		"key on one":  {testKey, nil, `"lb2" has no cluster key and this node has one`, `"lb1" has a cluster key and this node has none`},
		"key on lb2":  {nil, testKey, `"lb2" has a cluster key and this node has none`, `"lb1" has no cluster key and this node has one`},
		"half a pair": {testKey, testKey[:16], `another cluster key`, `another cluster key`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			at1, at2 := newPair(t)
			a := run(t, Options{Self: at1, Peer: at2, Key: tc.key1, Node: "lb1"})
			b := run(t, Options{Self: at2, Peer: at1, Key: tc.key2, Node: "lb2"})
			a.says(a.expect(Rejected, Unreachable), tc.says1)
			b.says(b.expect(Rejected, Unreachable), tc.says2)
			t.Log("# once")
			// Whoever began has been refused a connection before, or hears of it now.
			for over := time.After(aWhile); ; {
				var e Event
				select {
				case e = <-a.Events():
				case e = <-b.Events():
				case <-over:
					return
				}
				if e.Kind != Unreachable {
					t.Errorf("got %s: %s", e.Kind, e.Evidence)
				}
			}
		})
	}
}

func TestWhatIsHeardElsewhereProvesNothing(t *testing.T) {
	t.Parallel() // most of it is waiting
	at1, at2 := newPair(t)
	a := run(t, Options{Self: at1, Peer: at2, Key: testKey, Node: "lb1"})
	a.expect(Unreachable)
	dial := func() *net.TCPConn {
		t.Helper()
		conn, err := net.DialTCP("tcp", &net.TCPAddr{IP: at2.Addr().AsSlice()}, net.TCPAddrFromAddrPort(at1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(patience))
		return conn
	}
	var id identity
	rand.Read(id.boot[:])
	id.key, id.node = testKey, "lb2"

	t.Log("# the acceptor's proof is reflected as the dialer's")
	conn := dial()
	conn.Write(id.hello().encode())
	if _, err := expect(conn, frameHello); err != nil {
		t.Fatal(err)
	}
	proof, err := expect(conn, frameProof)
	if err != nil {
		t.Fatal(err)
	}
	conn.Write(encodeFrame(frameProof, proof))
	if _, _, err := readFrame(conn); !hungUp(err) {
		t.Errorf("got %v, want the end", err)
	}
	a.says(a.expect(Rejected), "another cluster key")

	t.Log("# what a peer has said is said again")
	var said recorder
	said.Conn = dial()
	if _, err := id.call(&said); err != nil {
		t.Fatal(err)
	}
	conn = dial()
	conn.Write(said.sent)
	for _, want := range []frameType{frameHello, frameProof} {
		if _, err := expect(conn, want); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := readFrame(conn); !hungUp(err) {
		t.Errorf("got %v, want the end", err)
	}

	t.Log("# the node's own hello comes back")
	conn = dial()
	own := a.acceptor.id.hello()
	conn.Write(own.encode())
	if _, err := expect(conn, frameHello); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readFrame(conn); !hungUp(err) {
		t.Errorf("got %v, want the end", err)
	}
	if got := a.Counters().Failed; got != 3 {
		t.Errorf("%d handshakes failed, want 3", got)
	}
}

// recorder keeps what is written.
type recorder struct {
	net.Conn
	sent []byte
}

func (r *recorder) Write(b []byte) (int, error) {
	r.sent = append(r.sent, b...)
	return r.Conn.Write(b)
}

func TestAForgedGoodbyeDoesNotHideADeath(t *testing.T) {
	t.Parallel() // most of it is waiting
	at1, at2 := newPair(t)
	peer := listen(t, at2)
	peer.id.key = testKey
	a := run(t, Options{Self: at1, Peer: at2, Key: testKey, Node: "lb1"})
	conn := peer.session()
	a.expect(Connected)
	conn.Write(encodeFrame(frameGoodbye, make([]byte, macSize)))
	a.says(a.expect(Lost), "proves nothing")
}

func TestTheListenerIsForThePeer(t *testing.T) {
	t.Parallel() // most of it is waiting
	at1, at2 := newPair(t)
	a := run(t, Options{Self: at1, Peer: at2, Node: "lb1"})
	a.expect(Unreachable)
	ends := func(conn net.Conn) {
		t.Helper()
		conn.SetReadDeadline(time.Now().Add(patience))
		if _, err := conn.Read(make([]byte, 1)); !hungUp(err) {
			t.Errorf("got %v, want the end", err)
		}
	}
	dial := func(from netip.Addr) net.Conn {
		t.Helper()
		conn, err := net.DialTCP("tcp", &net.TCPAddr{IP: from.AsSlice()}, net.TCPAddrFromAddrPort(at1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}

	t.Log("# a stranger is turned away")
	ends(dial(at2.Addr().Next()))
	if got := a.Counters(); got != (Counters{Strangers: 1}) {
		t.Errorf("got %+v", got)
	}

	t.Log("# who says nothing has a second, and a few at a time")
	var silent []net.Conn
	for range maxPending {
		silent = append(silent, dial(at2.Addr()))
	}
	ends(dial(at2.Addr()))
	if got := a.Counters().Crowded; got != 1 {
		t.Errorf("%d were turned away, want 1", got)
	}
	for _, conn := range silent {
		ends(conn)
	}
	if got := a.Counters().Failed; got != uint64(maxPending) {
		t.Errorf("%d handshakes failed, want %d", got, maxPending)
	}

	t.Log("# another program is told about")
	conn := dial(at2.Addr())
	fmt.Fprint(conn, "GET / HTTP/1.1\r\n\r\n")
	ends(conn)
	a.says(a.expect(Rejected), "is not the beginning of one")
}

func TestOldSessionsMakeRoom(t *testing.T) {
	t.Parallel() // most of it is waiting
	at1, at2 := newPair(t)
	a := run(t, Options{Self: at1, Peer: at2, Node: "lb1"})
	a.expect(Unreachable)
	id := identity{process: process{boot: bootID{1}, node: "lb2"}}
	var held []*link
	for range maxHeld + 1 {
		conn, err := net.DialTCP("tcp", &net.TCPAddr{IP: at2.Addr().AsSlice()}, net.TCPAddrFromAddrPort(at1))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		l, err := id.call(conn)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, l)
	}
	// Which of them is the oldest is for the listener to say: it may finish two
	// handshakes in another order than their callers.
	endedC := make(chan ending, len(held))
	for _, l := range held {
		go func() { endedC <- l.wait() }()
	}
	next := func() ending {
		t.Helper()
		select {
		case e := <-endedC:
			return e
		case <-time.After(patience):
			t.Fatal("no session ended")
			panic("unreachable")
		}
	}
	if e := next(); e.how != endClosed {
		t.Errorf("the first session to end: %+v, want it closed", e)
	}
	a.Goodbye("enough")
	for range held[1:] {
		if e := next(); e.how != endGoodbye || e.detail != `"enough"` {
			t.Errorf("a session that is held: %+v, want a goodbye", e)
		}
	}
}

func TestAPortInUseIsTriedAgain(t *testing.T) {
	t.Parallel() // most of it is waiting
	at1, at2 := newPair(t)
	squatter := listen(t, at1)
	a := run(t, Options{Self: at1, Peer: at2, Node: "lb1"})
	e := a.expect(Deaf, Unreachable)
	a.says(e, syscall.EADDRINUSE.Error())
	a.says(e, at1.String())
	squatter.ln.Close()
	b := run(t, Options{Self: at2, Peer: at1, Node: "lb2"})
	b.expect(Connected, Unreachable)
	a.expect(Connected, Unreachable)
}

func TestASlowReaderHasTheNewestEvents(t *testing.T) {
	s := New(Options{})
	for i := range eventsKept + 3 {
		s.publish(Event{Kind: Lost, Evidence: fmt.Sprint(i)})
	}
	for i := range eventsKept {
		if e := <-s.Events(); e.Evidence != fmt.Sprint(i+3) {
			t.Fatalf("event %d is %q", i, e.Evidence)
		}
	}
}

func TestKindsHaveNames(t *testing.T) {
	seen := map[string]Kind{}
	for k := Connected; k <= Deaf; k++ {
		name := k.String()
		if other, ok := seen[name]; ok || strings.HasPrefix(name, "kind ") {
			t.Errorf("kind %d is called %q, as is %d", k, name, other)
		}
		seen[name] = k
	}
}
