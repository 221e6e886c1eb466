package vip

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Removed says that an address has vanished from an interface: removed by
// anyone, this program included, or expired, or gone with the interface.
type Removed struct {
	Interface string
	Prefix    netip.Prefix
}

// Watch tells of the IPv4 addresses that vanish. When more happens than the
// kernel keeps for its reader, it misses some; Hold finds those out.
type Watch struct {
	socket  *nl.NetlinkSocket
	removed chan Removed
}

// NewWatch subscribes: what vanishes from now on is told. Run must be called:
// it delivers, and closes the subscription.
func NewWatch() (*Watch, error) {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_IPV4_IFADDR)
	if err != nil {
		return nil, fmt.Errorf("subscribe to address changes: %w", err)
	}
	return &Watch{socket: s, removed: make(chan Removed)}, nil
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
		if m.Header.Type != unix.RTM_DELADDR {
			continue
		}
		a, err := parseAddress(m.Data)
		if err != nil {
			return err
		}
		select {
		case w.removed <- Removed{Interface: a.ifname, Prefix: a.prefix}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
