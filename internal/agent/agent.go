// Package agent is the heartbeat of a node: it drives the virtual routers of
// package vrrp, owns their addresses, and announces them. It runs in a small
// process of its own, so that neither a busy proxy nor a collector of garbage
// delays an advertisement.
package agent

import (
	"context"
	"errors"
	"io"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/ownership"
	"github.com/tandemlb/tandem/internal/usage"
)

// Conn is the agent's end of the socket pair with the supervisor.
type Conn = ipc.Conn[ipc.ToAgent, ipc.FromAgent]

// Privileges tells the supervisor what the agent could obtain for itself; each
// is empty when granted, else why not.
type Privileges struct{ Realtime, Locked string }

// Run runs the virtual routers that the supervisor configures over conn, until
// the supervisor asks it to leave or dies, or ctx is done. When it returns, no
// address is held.
func Run(ctx context.Context, conn *Conn, h Host, granted Privileges) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)

	reporter := newReporter()
	owner := ownership.New(h.Owner)
	loop := newLoop(h, owner, reporter)

	g.Go(func() error {
		defer cancel()
		return loop.run(ctx)
	})
	g.Go(func() error { return owner.Run(ctx, loop.facts) })
	g.Go(func() error {
		return reporter.run(ctx, func(m ipc.FromAgent) error {
			if m.State != nil {
				m.State.Realtime, m.State.Locked = granted.Realtime, granted.Locked
				m.State.Process = ipc.Process(usage.Read())
			}
			return conn.Send(m)
		})
	})
	g.Go(func() error { return ended(ctx, h.WatchLinks(ctx, loop.link)) })
	g.Go(func() error { return ended(ctx, h.WatchAddresses(ctx, loop.gone)) })
	g.Go(func() error { return receive(ctx, conn, loop) })
	err := g.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// ended makes the end of ctx no error.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// supervisorDied reports whether the other end of the socket pair is closed: at
// the end of a message, within one, or with reports of ours unread.
func supervisorDied(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// receive passes the messages of the supervisor on, and says when it has died.
func receive(ctx context.Context, conn *Conn, l *loop) error {
	stop := context.AfterFunc(ctx, conn.CloseRead)
	defer stop()
	defer l.abandoned()
	for {
		m, files, err := conn.Receive()
		for _, f := range files {
			f.Close()
		}
		switch {
		case supervisorDied(err) || ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		l.message(ctx, m)
	}
}
