// Package vrrp implements the election of RFC 9568, the Virtual Router
// Redundancy Protocol version 3, and of RFC 3768, version 2, as values: a codec
// for advertisements, the rules by which a received one is accepted, and the
// state machine of a virtual router.
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
// After any event the driver first sends Output.Send to Router.Destinations, each
// with the checksum of Router.ChecksumFor, then makes the addresses of the
// interface agree with Router.Holds, then announces them when Output.Announce
// asks for it, then publishes Output.Change, and at last sets its timer to
// Router.Next. An IPv4 packet is made by ParseIPv4; one of IPv6, which the kernel
// delivers in parts, is a Packet of its source, destination, hop limit and payload.
//
// Routers that are to be Active together are joined by a Group, whose Settle the
// driver calls when it has handed over all events that were waiting, and whose
// outputs it treats like those of any event.
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
//   - Routers of a Group give up what they could have alone (Group).
//   - A router may keep the addresses after it resigned, until a successor is
//     heard (Leave).
//   - An IPv4 checksum is accepted with and without the pseudo-header
//     (ChecksumForm).
//   - A router of priority 255 listens to advertisements like any other, so that
//     two owners of one address settle on one of them (erratum 8298).
//   - An IPv6 list of addresses that does not begin with a link-local one is
//     accepted and counted (Router.Accept).
//   - With Params.Peers set, advertisements go to these instead of the group.
//
// In version 2, too, the loser of an election says its farewell, and the winner
// announces the addresses again. What version 3 adds to RFC 3768, that an Active
// router answers a lesser advertisement with its own, version 2 leaves out.
//
// The virtual MAC address is the driver's business. There is no authentication:
// version 3 has none, and that of version 2 protects nobody.
package vrrp
