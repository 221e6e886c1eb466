package vip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Removed says that an address has vanished from an interface: removed by
// anyone, this program included, or expired, or gone with the interface.
type Removed struct {
	Interface string
	Prefix    netip.Prefix
}

// Watch tells of the addresses that vanish. When more happens than the kernel
// keeps for its reader, it misses some; Hold finds those out.
type Watch struct {
	socket  *nl.NetlinkSocket
	removed chan Removed
	// names are those of the interfaces by index: of IPv6 addresses the kernel tells
	// the index alone, for which it knows no name when the interface is gone.
	names map[int]string
}

// NewWatch subscribes: what vanishes from now on is told. Run must be called:
// it delivers, and closes the subscription.
func NewWatch() (*Watch, error) {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_LINK)
	if err != nil {
		return nil, fmt.Errorf("subscribe to address changes: %w", err)
	}
	w := &Watch{socket: s, removed: make(chan Removed), names: map[int]string{}}
	present, err := net.Interfaces()
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("list interfaces to watch their addresses: %w", err)
	}
	for _, i := range present {
		w.names[i.Index] = i.Name
	}
	return w, nil
}

// Removed returns the channel that Run delivers to. It is never closed.
func (w *Watch) Removed() <-chan Removed { return w.removed }

// Run delivers until ctx is done, and then returns nil.
func (w *Watch) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, w.socket.Close)()
	defer w.socket.Close()
	for {
		err := w.next(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !errors.Is(err, unix.ENOBUFS) { // ENOBUFS: some were missed
			return fmt.Errorf("watch addresses: %w", err)
		}
	}
}

// next waits for messages and delivers what they tell.
func (w *Watch) next(ctx context.Context) error {
	messages, _, err := w.socket.Receive()
	if err != nil {
		return err
	}
	for _, m := range messages {
		switch m.Header.Type {
		case unix.RTM_DELADDR:
			err = w.tell(ctx, m.Data)
		case unix.RTM_NEWLINK, unix.RTM_DELLINK:
			err = w.link(m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// tell delivers what the message of an RTM_DELADDR says. Without a name the
// address was on an interface that came and went unseen.
func (w *Watch) tell(ctx context.Context, message []byte) error {
	a, err := parseAddress(message)
	if err != nil {
		return err
	}
	name := w.name(a)
	if name == "" {
		return nil
	}
	select {
	case w.removed <- Removed{Interface: name, Prefix: a.prefix}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// name returns the name of the interface of an address, empty when it is not
// known and cannot be asked for any more.
func (w *Watch) name(a address) string {
	if a.ifname != "" {
		return a.ifname
	}
	if name := interfaceName(w.socket, a.index); name != "" {
		return name
	}
	return w.names[a.index]
}

// link takes note of an interface that is new, renamed or deleted. A bridge tells
// likewise of a port that joins or leaves it, in a family of its own.
func (w *Watch) link(m syscall.NetlinkMessage) error {
	if len(m.Data) < unix.SizeofIfInfomsg {
		return fmt.Errorf("link message of %d bytes", len(m.Data))
	}
	msg := nl.DeserializeIfInfomsg(m.Data)
	if msg.Family != unix.AF_UNSPEC {
		return nil
	}
	if m.Header.Type == unix.RTM_DELLINK {
		delete(w.names, int(msg.Index))
		return nil
	}
	attrs, err := nl.ParseRouteAttr(m.Data[unix.SizeofIfInfomsg:])
	if err != nil {
		return fmt.Errorf("attributes of interface %d: %w", msg.Index, err)
	}
	for _, a := range attrs {
		if a.Attr.Type == unix.IFLA_IFNAME {
			w.names[int(msg.Index)] = unix.ByteSliceToString(a.Value)
		}
	}
	return nil
}
