package mmsg

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy/reactor/socket"
)

// share binds a socket and takes it over.
func share(t *testing.T, address string) (Socket, netip.AddrPort) {
	t.Helper()
	network := "udp"
	if netip.MustParseAddrPort(address).Addr().Is4() {
		network = "udp4" // else the wildcard is that of both families
	}
	pc, err := net.ListenPacket(network, address)
	if err != nil {
		t.Skip(err) // a host without IPv6
	}
	defer pc.Close()
	s, err := Share(pc.(*net.UDPConn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, pc.LocalAddr().(*net.UDPAddr).AddrPort()
}

func connect(t *testing.T, to netip.AddrPort) (int32, netip.AddrPort) {
	t.Helper()
	fd, err := Connect(to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(int(fd)) })
	return fd, socket.LocalAddr(fd)
}

// receive waits for a batch.
func receive(t *testing.T, r *Receiver, fd int32) int {
	t.Helper()
	p := []unix.PollFd{{Fd: fd, Events: unix.POLLIN}}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		n, errno := r.Receive(fd)
		if errno == 0 {
			return n
		}
		if errno != syscall.EAGAIN {
			t.Fatalf("receive: %v", errno)
		}
		_, _ = unix.Poll(p, 1000)
	}
	t.Fatal("nothing comes")
	return 0
}

// send sends all.
func send(t *testing.T, s *Sender, fd int32) {
	t.Helper()
	for first := 0; first < s.Len(); {
		n, errno := s.Send(fd, first)
		if errno != 0 {
			t.Fatalf("send message %d: %v", first, errno)
		}
		first += n
	}
}

func TestABatchGoesThereAndBack(t *testing.T) {
	for _, test := range []struct {
		name, bind, dial string
		v4, anywhere     bool
	}{
		{"IPv4", "127.0.0.1:0", "127.0.0.1", true, false},
		{"IPv6", "[::1]:0", "::1", false, false},
		{"every address of IPv4", "0.0.0.0:0", "127.0.0.9", true, true},
		{"every address, by IPv6", "[::]:0", "::1", false, true},
		{"every address, by IPv4", "[::]:0", "127.0.0.9", false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, bound := share(t, test.bind)
			if s.V4 != test.v4 || s.Anywhere != test.anywhere {
				t.Errorf("V4 %v, Anywhere %v; want %v, %v", s.V4, s.Anywhere, test.v4, test.anywhere)
			}
			to := netip.AddrPortFrom(netip.MustParseAddr(test.dial), bound.Port())
			fd, from := connect(t, to)
			in, out := NewReceiver(), NewSender()
			for round := range 3 { // the arrays are used again
				out.Reset()
				var want []string
				for i := range Size - round {
					text := fmt.Sprintf("%d.%d", round, i)
					if i == 3 {
						text = "" // a datagram may be empty
					}
					want = append(want, text)
					out.Add(&Message{Payload: []byte(text)})
				}
				send(t, out, fd)

				out.Reset()
				for len(want) > 0 {
					n := receive(t, in, s.FD)
					for i := range n {
						if got := string(in.Payload(i)); got != want[0] {
							t.Fatalf("got %q, want %q", got, want[0])
						}
						want = want[1:]
						if got := in.Peer(i); got.AddrPort() != from || got != AddressOf(from) {
							t.Errorf("from %v, want %v", got.AddrPort(), from)
						}
						local, segment := in.Control(i)
						if segment != 0 {
							t.Errorf("a single datagram is said to be joined, of %d bytes", segment)
						}
						if got := netip.AddrFrom16(local).Unmap(); test.anywhere && got != to.Addr() {
							t.Errorf("came to %v, want %v", got, to.Addr())
						}
						out.Add(&Message{Payload: []byte("answer"), To: in.Peer(i), From: local, V4: s.V4})
					}
					send(t, out, s.FD) // with another source the socket would not take it
					for back := 0; back < n; {
						got := receive(t, in, fd)
						for i := range got {
							if text := string(in.Payload(i)); text != "answer" {
								t.Errorf("answer %q", text)
							}
						}
						back += got
					}
					out.Reset()
				}
			}
		})
	}
}

func TestABurstCrossesAsOneMessage(t *testing.T) {
	const size, count = 1200, 50
	s, bound := share(t, "127.0.0.1:0")
	if !s.Segment {
		t.Skip("this kernel takes no message apart")
	}
	fd, _ := connect(t, bound)
	payload := bytes.Repeat([]byte("0123456789"), (size*(count-1)+700)/10) // the last one is shorter
	in, out := NewReceiver(), NewSender()
	out.Add(&Message{Payload: payload, Segment: size})
	send(t, out, fd)
	var got []byte
	messages, datagrams := 0, 0
	for len(got) < len(payload) {
		n := receive(t, in, s.FD)
		for i := range n {
			_, segment := in.Control(i)
			p := in.Payload(i)
			if segment == 0 {
				segment = len(p)
			}
			if segment != size && len(p) > 700 {
				t.Errorf("datagrams of %d bytes, want %d", segment, size)
			}
			datagrams += (len(p) + segment - 1) / segment
			got = append(got, p...)
		}
		messages += n
	}
	if !bytes.Equal(got, payload) || datagrams != count {
		t.Errorf("%d bytes in %d datagrams, want %d in %d, unchanged", len(got), datagrams, len(payload), count)
	}
	t.Logf("%d datagrams in %d messages", datagrams, messages)
}

func TestAMessageIsTakenApartHere(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0") // which does not join
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	pc.SetDeadline(time.Now().Add(20 * time.Second))
	fd, _ := connect(t, pc.LocalAddr().(*net.UDPAddr).AddrPort())
	payload := bytes.Repeat([]byte("abcdefg"), 30)
	if failed := NewSender().SendEach(fd, &Message{Payload: payload, Segment: 4}); failed != 0 {
		t.Fatalf("%d datagrams were not sent", failed)
	}
	var got []byte
	b := make([]byte, 100)
	for len(got) < len(payload) {
		n, _, err := pc.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		if rest := len(payload) - len(got); n != min(4, rest) {
			t.Errorf("a datagram of %d bytes", n)
		}
		got = append(got, b[:n]...)
	}
	if !bytes.Equal(got, payload) {
		t.Errorf("got %q", got)
	}
}

func TestAMessageThatIsOneDatagramIsSentAsItIs(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	pc.SetDeadline(time.Now().Add(20 * time.Second))
	fd, _ := connect(t, pc.LocalAddr().(*net.UDPAddr).AddrPort())
	s := NewSender()
	for _, payload := range []string{"abc", ""} {
		if failed := s.SendEach(fd, &Message{Payload: []byte(payload)}); failed != 0 {
			t.Fatalf("%q was not sent", payload)
		}
		b := make([]byte, 100)
		if n, _, err := pc.ReadFrom(b); err != nil || string(b[:n]) != payload {
			t.Errorf("got %q, %v; want %q", b[:n], err, payload)
		}
	}
	if failed := s.SendEach(fd, &Message{Payload: make([]byte, 65508)}); failed != 1 {
		t.Errorf("%d datagrams of one that is too long were not sent", failed)
	}
}

func TestARefusalComesBeforeTheNextMessage(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to := pc.LocalAddr().(*net.UDPAddr).AddrPort()
	pc.Close()
	fd, _ := connect(t, to)
	out := NewSender()
	out.Add(&Message{Payload: []byte("first")})
	send(t, out, fd)
	// On loopback the answer of the kernel is there when the call returns.
	if n, errno := out.Send(fd, 0); n != 0 || errno != syscall.ECONNREFUSED {
		t.Errorf("sent %d, %v; want %v", n, errno, syscall.ECONNREFUSED)
	}
	out.Reset()
	out.Add(&Message{Payload: make([]byte, 65536)})
	if _, errno := out.Send(fd, 0); errno != syscall.EMSGSIZE {
		t.Errorf("too much for a datagram: %v, want %v", errno, syscall.EMSGSIZE)
	}
}

func TestAddressesKeepTheirForm(t *testing.T) {
	for _, text := range []string{"192.0.2.1:53", "[2001:db8::1]:443", "0.0.0.0:1"} {
		want := netip.MustParseAddrPort(text)
		if got := AddressOf(want).AddrPort(); got != want {
			t.Errorf("%s became %s", want, got)
		}
	}
	link := Address{IP: netip.MustParseAddr("fe80::1").As16(), Port: 5, Scope: 3}
	if got := link.AddrPort().String(); got != "[fe80::1%3]:5" {
		t.Errorf("link-local: %s", got)
	}
}

func BenchmarkReceiveAndSend(b *testing.B) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer pc.Close()
	s, err := Share(pc.(*net.UDPConn))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	fd, err := Connect(pc.LocalAddr().(*net.UDPAddr).AddrPort())
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Close(int(fd))
	in, out := NewReceiver(), NewSender()
	payload := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() { // a batch each
		out.Reset()
		for range Size {
			out.Add(&Message{Payload: payload})
		}
		if n, errno := out.Send(fd, 0); n != Size || errno != 0 {
			b.Fatal(n, errno)
		}
		for n := 0; n < Size; {
			got, errno := in.Receive(s.FD)
			if errno != 0 {
				b.Fatal(errno)
			}
			n += got
		}
	}
}
