package reactor

import (
	"fmt"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy/reactor/socket"
)

// onLoop runs the benchmark on a coroutine, and counts only what f does.
func onLoop(b *testing.B, r *running, f func(l *Loop)) {
	b.Helper()
	l := r.Loops()[0]
	done := make(chan struct{})
	l.Post(func() {
		l.Go(func() {
			defer close(done)
			f(l)
		})
	})
	<-done
}

// Two coroutines that take turns: two switches and two passes of the run queue.
func BenchmarkSwitch(b *testing.B) {
	r := start(b, 1)
	onLoop(b, r, func(l *Loop) {
		stop := false
		other := l.Go(func() {
			for !stop {
				l.budget = 0
				l.current("").turn()
			}
		})
		b.ReportAllocs()
		b.ResetTimer()
		for range b.N {
			l.budget = 0
			l.current("").turn()
		}
		b.StopTimer()
		stop = true
		other.Wait()
	})
}

func BenchmarkGoAndWait(b *testing.B) {
	r := start(b, 1)
	onLoop(b, r, func(l *Loop) {
		b.ReportAllocs()
		for b.Loop() {
			l.Go(func() {}).Wait()
		}
	})
}

func BenchmarkAwait(b *testing.B) {
	r := start(b, 1)
	onLoop(b, r, func(l *Loop) {
		b.ReportAllocs()
		for b.Loop() {
			l.Await(func() {})
		}
	})
}

// A request and its answer between two connections of the loop; the server parks
// in between.
func BenchmarkEcho(b *testing.B) {
	for _, conns := range []int{1, 64} {
		b.Run(fmt.Sprint(conns, " connections"), func(b *testing.B) {
			r := start(b, 1)
			_, addr := r.listen(b, ListenOptions{Serve: echo})
			onLoop(b, r, func(l *Loop) {
				each := b.N/conns + 1
				var tasks []*Task
				begin := make([]*Conn, 0, conns)
				for range conns {
					c, err := l.Dial(addr, DialOptions{})
					if err != nil {
						b.Error(err)
						return
					}
					begin = append(begin, c)
					exchange(b, c, 2)
				}
				b.ReportAllocs()
				b.ResetTimer()
				for _, c := range begin {
					tasks = append(tasks, l.Go(func() { exchange(b, c, each) }))
				}
				for _, t := range tasks {
					t.Wait()
				}
				b.StopTimer()
				for _, c := range begin {
					c.Close()
				}
			})
		})
	}
}

func exchange(b *testing.B, c *Conn, times int) {
	var message [64]byte
	for range times {
		if _, err := c.Write(message[:]); err != nil {
			b.Error(err)
			return
		}
		if n, err := c.Read(message[:]); err != nil || n != len(message) {
			b.Error(n, err)
			return
		}
		c.SetReadDeadline(c.Loop().Now().Add(patience))
	}
}

// The same with two system calls in place of all of the reactor's: the floor.
func BenchmarkEchoFloor(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	var fds [2]int32
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: l.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		b.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		b.Fatal(err)
	}
	raw.Control(func(other uintptr) {
		fds = [2]int32{int32(fd), int32(other)}
		var message [64]byte
		for b.Loop() {
			socket.Send(fds[0], message[:])
			socket.Recv(fds[1], message[:], 0)
			socket.Send(fds[1], message[:])
			socket.Recv(fds[0], message[:], 0)
		}
	})
}
