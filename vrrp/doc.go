// Package vrrp implements the election of RFC 9568, the Virtual Router
// Redundancy Protocol version 3, as values: a codec for advertisements, the
// rules by which a received one is accepted, and the state machine of a virtual
// router.
//
// Nothing here opens a socket, starts a goroutine, logs or reads a clock. A
// driver owns each Router, calls it from one goroutine with the time of every
// event, and does what the returned Output says:
//
//	for {
//		select {
//		case packet := <-received:
//			now := time.Now()
//			if advert, err := router.Accept(packet); err == nil {
//				act(router.Receive(now, packet.Source, advert))
//			}
//		case <-timer.C: // set to router.Next()
//			act(router.Tick(time.Now()))
//		}
//	}
//
// After any event the driver first sends Output.Send, then makes the addresses
// of the interface agree with Router.Holds, then announces them when
// Output.Announce asks for it, then publishes Output.Change, and at last sets
// its timer to Router.Next.
//
// # Departures from RFC 9568
//
// They make an interruption shorter or a doubt smaller, and none of them
// confuses a router that knows only the RFC:
//
//   - An Active router that loses an election sends one last advertisement, so
//     that the winner learns that another announced the addresses, and announces
//     them again (Router.Receive).
//   - A router that was not run for longer than its peers wait assumes that it
//     lost (Router.Tick).
//   - A router takes over at once from one whose process is proven to be dead
//     (Router.PeerDied).
//   - A router may keep the addresses after it resigned, until a successor is
//     heard (Leave).
//   - An IPv4 checksum is accepted with and without the pseudo-header
//     (ChecksumForm).
//   - A router of priority 255 listens to advertisements like any other, so that
//     two owners of one address settle on one of them.
//
// The virtual MAC address, version 2 on the wire, and authentication are not
// implemented by Router.
package vrrp
