package main

import (
	"context"
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/proxy/udp/mmsg"
)

// echo answers each datagram to the IPv4 socket c with itself until ctx is done.
func echo(ctx context.Context, c syscall.Conn) error {
	s, err := mmsg.Share(c)
	if err != nil {
		return err
	}
	defer s.Close()
	p, err := newPoller()
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.add(s.FD, 0); err != nil {
		return err
	}
	in, out := mmsg.NewReceiver(), mmsg.NewSender()
	for ctx.Err() == nil {
		n, errno := in.Receive(s.FD)
		if errno == unix.EAGAIN {
			if _, err := p.wait(); err != nil {
				return err
			}
			continue
		}
		if errno != 0 {
			continue // of one of those that were answered; it is reported once
		}
		out.Reset()
		for i := range n {
			_, segment := in.Control(i)
			out.Add(&mmsg.Message{Payload: in.Payload(i), Segment: segment, To: in.Peer(i), V4: s.V4})
		}
		for done := 0; done < n; {
			sent, errno := out.Send(s.FD, done)
			if done += sent; errno != 0 {
				done++ // it counts as lost
			}
		}
	}
	return nil
}

// visit asks one question by way of address.
func visit(address string) error {
	c, err := net.Dial("udp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(lostAfter)); err != nil {
		return err
	}
	var packet [packetSize]byte
	if _, err := c.Write(packet[:]); err != nil {
		return err
	}
	if _, err := c.Read(packet[:]); err != nil {
		return fmt.Errorf("wait for an answer: %w", err)
	}
	return nil
}
