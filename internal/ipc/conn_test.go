package ipc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/vrrp"
)

// pair returns both ends of a socket pair between supervisor and worker.
func pair(t *testing.T) (*Conn[FromWorker, ToWorker], *Conn[ToWorker, FromWorker]) {
	t.Helper()
	supervisor, file, err := Pair[FromWorker, ToWorker]("worker")
	if err != nil {
		t.Fatal(err)
	}
	worker, err := New[ToWorker, FromWorker](file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { supervisor.Close(); worker.Close() })
	return supervisor, worker
}

func TestMessagesArriveAsSent(t *testing.T) {
	bind := netip.MustParseAddrPort("[::]:80")
	messages := []ToWorker{
		{Ping: &Ping{Seq: 7}},
		{Config: &WorkerConfig{Generation: 2, Spec: proxy.Spec{
			Listeners: []proxy.Listener{{Name: "web", Bind: []netip.AddrPort{bind}, Protocol: proxy.HTTP, Routes: []proxy.Route{{Split: []proxy.Share{{Pool: "web", Weight: 1}}}}}},
			Pools: []proxy.Pool{{Name: "web", Balance: proxy.RoundRobin,
				Servers: []proxy.Server{{Name: "a", Address: netip.MustParseAddrPort("192.0.2.21:8080")}},
				Check:   proxy.Check{Kind: proxy.CheckHTTP, Method: "GET", Path: "/", Every: 2 * time.Second}}},
		}}},
		{Drain: &Drain{Within: time.Minute}},
	}
	supervisor, worker := pair(t)
	for _, want := range messages {
		if err := supervisor.Send(want); err != nil {
			t.Fatal(err)
		}
		got, files, err := worker.Receive()
		if err != nil || len(files) != 0 {
			t.Fatalf("receive: %v, %d files", err, len(files))
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
			t.Errorf("message (-want +got):\n%s", diff)
		}
	}
}

func TestAgentMessagesKeepDomainTypes(t *testing.T) {
	want := FromAgent{State: &AgentState{Routers: []RouterState{{Name: "main", Status: vrrp.Status{
		Role: vrrp.Active, Reason: "because", Peer: netip.MustParseAddr("192.0.2.12"), Since: time.Unix(5, 6).UTC(),
		Counters: vrrp.Counters{Dropped: map[vrrp.Drop]uint64{vrrp.DropTTL: 3}},
	}}}, Lateness: time.Millisecond}}
	agent, file, err := Pair[ToAgent, FromAgent]("agent")
	if err != nil {
		t.Fatal(err)
	}
	defer agent.Close()
	supervisor, err := New[FromAgent, ToAgent](file)
	if err != nil {
		t.Fatal(err)
	}
	defer supervisor.Close()
	if err := agent.Send(want); err != nil {
		t.Fatal(err)
	}
	got, _, err := supervisor.Receive()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
}

// TestDescriptorsStayWithTheirMessage sends batches in a row, so that several
// wait in the socket, and reads from each descriptor what was written for it.
func TestDescriptorsStayWithTheirMessage(t *testing.T) {
	supervisor, worker := pair(t)
	next := 0
	for _, count := range []int{1, 0, MaxFiles, 3} {
		var list Sockets
		var files []*os.File
		for range count {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(w, next)
			w.Close()
			list.List = append(list.List, Socket{Listener: fmt.Sprint(next)})
			files = append(files, r)
			next++
		}
		if err := supervisor.Send(ToWorker{Sockets: &list}, files...); err != nil {
			t.Fatal(err)
		}
		closeAll(files)
	}
	for _, count := range []int{1, 0, MaxFiles, 3} {
		m, files, err := worker.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if len(files) != count || len(m.Sockets.List) != count {
			t.Fatalf("%d descriptors for %d names, want %d", len(files), len(m.Sockets.List), count)
		}
		for i, f := range files {
			got, err := io.ReadAll(f)
			f.Close()
			if err != nil || string(got) != m.Sockets.List[i].Listener {
				t.Errorf("descriptor of %q reads %q, %v", m.Sockets.List[i].Listener, got, err)
			}
		}
	}
}

func TestListenerWorksInTheReceiver(t *testing.T) {
	supervisor, worker := pair(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	if err := supervisor.Send(ToWorker{Sockets: &Sockets{}}, f); err != nil {
		t.Fatal(err)
	}
	fd, err := descriptor(f)
	if err != nil {
		t.Fatal(err)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
		t.Errorf("sending made the shared socket blocking (flags %x, %v)", flags, err)
	}
	f.Close()
	l.Close()
	_, files, err := worker.Receive()
	if err != nil || len(files) != 1 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	got, err := net.FileListener(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	c, err := net.Dial("tcp", got.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestTooManyDescriptorsAreRefused(t *testing.T) {
	supervisor, _ := pair(t)
	files := make([]*os.File, MaxFiles+1)
	err := supervisor.Send(ToWorker{}, files...)
	if err == nil || !strings.Contains(err.Error(), "at most 250 fit one message") {
		t.Errorf("got %v", err)
	}
}

func TestEndOfThePeerIsEOF(t *testing.T) {
	supervisor, worker := pair(t)
	supervisor.Close()
	if _, _, err := worker.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want EOF", err)
	}
}

func TestCorruptFramesAreErrors(t *testing.T) {
	frame := func(size uint32, body string) []byte {
		return append(binary.BigEndian.AppendUint32(nil, size), body...)
	}
	for name, tc := range map[string]struct {
		bytes []byte
		want  string
	}{
		"too long":  {frame(maxMessage+1, ""), "exceeds the limit"},
		"cut short": {frame(10, "{}"), "unexpected EOF"},
		"half head": {[]byte{0, 0}, "unexpected EOF"},
		"not JSON":  {frame(3, "{x}"), "decode ipc.ToWorker"},
	} {
		t.Run(name, func(t *testing.T) {
			supervisor, worker := pair(t)
			if _, err := supervisor.c.Write(tc.bytes); err != nil {
				t.Fatal(err)
			}
			supervisor.Close()
			_, _, err := worker.Receive()
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestSendToOneThatDoesNotReadEnds(t *testing.T) {
	supervisor, worker := pair(t)
	supervisor.timeout = 20 * time.Millisecond
	big := ToWorker{Config: &WorkerConfig{Spec: proxy.Spec{Pools: []proxy.Pool{{Name: strings.Repeat("x", 8<<20)}}}}}
	if err := supervisor.Send(big); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want a deadline", err)
	}
	t.Log("# half a message was sent: both ends must know that nothing more can be")
	if err := supervisor.Send(ToWorker{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second send: got %v, want it closed", err)
	}
	if _, _, err := worker.Receive(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("receive: got %v, want an unexpected end", err)
	}
}

func TestNotASocketIsRefused(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New[ToWorker, FromWorker](f); err == nil || !strings.Contains(err.Error(), "control socket") {
		t.Errorf("got %v", err)
	}
}
