package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// askers is how many questions are open at a time.
const askers = 32

// An asker has a new address for each question.
type asker struct {
	fd    int32
	asked time.Duration // since the load began
}

// survey is questions of clients that have only one.
type survey struct {
	poller *poller
	to     *unix.SockaddrInet4
	askers [askers]asker
	number uint64 // of the next question
	began  time.Time
	moved  moved
}

// questions asks address one question from each of ever new clients until ctx is done.
func questions(ctx context.Context, address string) (m moved, err error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return m, err
	}
	s := &survey{to: &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}, began: time.Now()}
	if s.poller, err = newPoller(); err != nil {
		return m, err
	}
	defer s.poller.close()
	for i := range s.askers {
		s.askers[i].fd = -1
	}
	defer func() {
		for i := range s.askers {
			s.askers[i].end()
		}
	}()
	for {
		open := 0
		for i := range s.askers {
			if err := s.next(i, ctx.Err() != nil); err != nil {
				return m, err
			}
			if s.askers[i].fd >= 0 {
				open++
			}
		}
		if ctx.Err() != nil && s.moved.took == 0 {
			s.moved.took = time.Since(s.began)
		}
		if open == 0 {
			return s.moved, nil
		}
		if err := s.receive(); err != nil {
			return m, err
		}
	}
}

// next gives asker i a new question if it has none, or was not answered in time. In
// the end it only ends them.
func (s *survey) next(i int, last bool) error {
	a, now := &s.askers[i], time.Since(s.began)
	if a.fd >= 0 && now-a.asked <= lostAfter {
		return nil
	}
	a.end()
	if last {
		return nil
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a socket: %w", err)
	}
	a.fd, a.asked = int32(fd), now
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: home(s.number)}); err != nil {
		return fmt.Errorf("bind a client: %w", err)
	}
	if err := unix.Connect(fd, s.to); err != nil {
		return fmt.Errorf("connect a client: %w", err)
	}
	if err := s.poller.add(a.fd, i); err != nil {
		return err
	}
	var packet [packetSize]byte
	binary.BigEndian.PutUint64(packet[:], s.number)
	s.number++
	if _, err := unix.Write(fd, packet[:]); err != nil {
		return fmt.Errorf("send to the proxy: %w", err)
	}
	s.moved.sent++
	return nil
}

func (s *survey) receive() error {
	events, err := s.poller.wait()
	if err != nil {
		return err
	}
	for _, e := range events {
		a := &s.askers[e.Fd]
		var packet [2 * packetSize]byte
		n, err := unix.Read(int(a.fd), packet[:])
		if err != nil {
			return fmt.Errorf("hear from the proxy: %w", err)
		}
		if n != packetSize {
			return fmt.Errorf("hear from the proxy: %d bytes, want %d", n, packetSize)
		}
		s.moved.answered++
		a.end()
	}
	return nil
}

// end closes the socket. Closed, it is not watched any more either.
func (a *asker) end() {
	if a.fd >= 0 {
		unix.Close(int(a.fd))
		a.fd = -1
	}
}

// home returns the address of the client with question n: a port alone would soon come
// again, and with it a session that still lives.
func home(n uint64) [4]byte {
	n %= 250 * 250 * 100
	return [4]byte{127, byte(1 + n/250/250), byte(1 + n/250%250), byte(1 + n%250)}
}
