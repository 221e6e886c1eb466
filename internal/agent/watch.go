package agent

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/notice"
)

// peerWatch is the watch over the peer's process, as the core has it. Until it
// has begun it watches nobody.
type peerWatch struct {
	loop *loop
	PeerWatch
	peer netip.Addr
	word string // newest, for the status
	died bool   // what it says
	wg   sync.WaitGroup
	stop context.CancelFunc
}

func newPeerWatch(l *loop) *peerWatch { return &peerWatch{loop: l} }

// begin starts the watch, if there is one to keep and it is not kept yet.
func (w *peerWatch) begin(ctx context.Context, cfg *ipc.Notice) {
	if cfg == nil || w.PeerWatch != nil {
		return
	}
	w.PeerWatch = w.loop.host.WatchPeer(notice.Options{Node: cfg.Node, Self: cfg.Self, Peer: cfg.Peer, Key: cfg.Key})
	w.peer = cfg.Peer.Addr()
	ctx, w.stop = context.WithCancel(ctx)
	w.wg.Go(func() { _ = w.Run(ctx) }) // it returns nil
	w.wg.Go(func() { w.relay(ctx) })
}

// relay tells the core what the watch says.
func (w *peerWatch) relay(ctx context.Context) {
	for {
		select {
		case e := <-w.Events():
			w.loop.post(func(c *core, now time.Time) { c.peer(now, e) })
		case <-ctx.Done():
			return
		}
	}
}

// heard takes note of an advertisement of a router: whoever is heard is not dead. If
// nobody said so, there is nothing to contradict, and no other thread to wake.
func (w *peerWatch) heard(h heard, now time.Time) {
	if w.PeerWatch != nil && w.died && h.from == h.in.peerAddress(w.peer) {
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
