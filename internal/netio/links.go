package netio

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// dumpAttempts bounds how often a list of links that changed while it was read
// is read again.
const dumpAttempts = 5

// Links watches the carrier of all interfaces.
type Links struct {
	news    *nl.NetlinkSocket // notifications
	request *nl.SocketHandle  // requests, on a socket of their own
	events  chan LinkEvent
}

// WatchLinks subscribes to the changes of all interfaces. Run must be called:
// it delivers the events and closes the subscription.
func WatchLinks() (*Links, error) {
	news, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK)
	if err != nil {
		return nil, fmt.Errorf("subscribe to link changes: %w", err)
	}
	request, err := nl.Subscribe(unix.NETLINK_ROUTE)
	if err != nil {
		news.Close()
		return nil, fmt.Errorf("open netlink socket for links: %w", err)
	}
	return &Links{news: news, request: &nl.SocketHandle{Socket: request}, events: make(chan LinkEvent)}, nil
}

// Events returns the channel of events: first one for each interface as it is,
// then one for each change, in order. It is never closed.
func (l *Links) Events() <-chan LinkEvent { return l.events }

// Run delivers events until ctx is done, and then returns nil.
func (l *Links) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, l.close)
	defer stop()
	defer l.close()
	err := l.run(ctx)
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("watch links: %w", err)
}

// run delivers events until it cannot.
func (l *Links) run(ctx context.Context) error {
	known := linkStates{}
	for stale := true; ; {
		if stale {
			all, err := l.list()
			if err != nil {
				return err
			}
			if err := l.deliver(ctx, known.resync(all)); err != nil {
				return err
			}
		}
		messages, _, err := l.news.Receive()
		// Notifications were lost: what they said must be asked for.
		if stale = errors.Is(err, unix.ENOBUFS); stale {
			continue
		}
		if err != nil {
			return err
		}
		for _, m := range messages {
			u, ok, err := parseLink(m.Header.Type, m.Data)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			if err := l.deliver(ctx, known.update(u)); err != nil {
				return err
			}
		}
	}
}

func (l *Links) deliver(ctx context.Context, events []LinkEvent) error {
	for _, e := range events {
		select {
		case l.events <- e:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// list returns the interfaces as they are now.
func (l *Links) list() ([]link, error) {
	for attempt := 1; ; attempt++ {
		req := nl.NewNetlinkRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP)
		req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
		req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: l.request}
		messages, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
		if errors.Is(err, nl.ErrDumpInterrupted) && attempt < dumpAttempts {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list links: %w", err)
		}
		var all []link
		for _, m := range messages {
			u, ok, err := parseLink(unix.RTM_NEWLINK, m)
			if err != nil {
				return nil, err
			}
			if ok {
				all = append(all, u)
			}
		}
		return all, nil
	}
}

// close may be called more than once.
func (l *Links) close() {
	l.news.Close()
	l.request.Close()
}
