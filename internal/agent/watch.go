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
	host Host
	PeerWatch
	peer netip.Addr
	word string // newest, for the status
	died bool   // what it says
	wg   sync.WaitGroup
	stop context.CancelFunc
}

// begin starts the watch, if there is one to keep and it is not kept yet.
func (w *peerWatch) begin(ctx context.Context, cfg *ipc.Notice) {
	if cfg == nil || w.PeerWatch != nil {
		return
	}
	w.PeerWatch = w.host.WatchPeer(notice.Options{Node: cfg.Node, Self: cfg.Self, Peer: cfg.Peer, Key: cfg.Key})
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
func (w *peerWatch) heard(h heard, now time.Time) {
	if w.PeerWatch != nil && h.from == h.in.peerAddress(w.peer) {
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
