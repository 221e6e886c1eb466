package agent

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/notice"
)

// peerWatch is the watch over the peer's process, as the loop has it. The zero
// value watches nobody.
type peerWatch struct {
	PeerWatch
	peer netip.Addr
	word string // newest, for the status
	wg   sync.WaitGroup
	stop context.CancelFunc
}

// begin starts the watch, if there is one to keep and it is not kept yet.
func (w *peerWatch) begin(ctx context.Context, h Host, cfg *ipc.Notice) {
	if cfg == nil || w.PeerWatch != nil {
		return
	}
	w.PeerWatch = h.WatchPeer(notice.Options{Node: cfg.Node, Self: cfg.Self, Peer: cfg.Peer, Key: cfg.Key})
	w.peer = cfg.Peer.Addr()
	ctx, w.stop = context.WithCancel(ctx)
	w.wg.Go(func() { _ = w.Run(ctx) }) // it returns nil
}

// events is nil, which is never ready, without a watch.
func (w *peerWatch) events() <-chan notice.Event {
	if w.PeerWatch == nil {
		return nil
	}
	return w.Events()
}

// heard takes note of an advertisement of a router: whoever is heard is not dead.
func (w *peerWatch) heard(from netip.Addr, now time.Time) {
	if w.PeerWatch != nil && from == w.peer {
		w.Contradicted(now)
	}
}

// goodbye has the end of this process not taken for a death. The heartbeat does
// not wait for it; end does.
func (w *peerWatch) goodbye(reason string) {
	if w.PeerWatch != nil {
		w.wg.Go(func() { w.Goodbye(reason) })
	}
}

// end stops the watch.
func (w *peerWatch) end() {
	if w.PeerWatch != nil {
		w.stop()
		w.wg.Wait()
	}
}

// peer acts on news of the peer's process.
func (l *loop) peer(now time.Time, e notice.Event) {
	l.watch.word = e.Kind.String()
	if e.Evidence != "" {
		l.watch.word += ": " + e.Evidence
	}
	l.changed = true
	fields := map[string]any{"peer": l.watch.peer.String(), "evidence": e.Evidence}
	switch e.Kind {
	case notice.Died:
		// First of all, and only then the log.
		for _, in := range l.instances {
			l.apply(now, in, in.vr.PeerDied(now, l.watch.peer, e.Evidence))
		}
		l.reporter.log("warn", "the peer's agent has died", fields)
	case notice.Unreachable, notice.Rejected, notice.Distrusted, notice.Deaf:
		l.reporter.log("warn", "no death notice of the peer: "+e.Kind.String()+"; timers decide", fields)
	default:
		l.reporter.log("info", "death notice of the peer: "+e.Kind.String(), fields)
	}
}
