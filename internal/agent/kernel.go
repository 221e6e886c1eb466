package agent

import (
	"context"
	"net/netip"

	"golang.org/x/sync/errgroup"

	"github.com/tandemlb/tandem/internal/netio"
	"github.com/tandemlb/tandem/internal/notice"
	"github.com/tandemlb/tandem/internal/vip"
)

// Kernel returns the host that this process runs on.
func Kernel() (Host, error) {
	table, err := vip.New()
	if err != nil {
		return Host{}, err
	}
	return Host{
		Listen: func(ifname string, self netip.Addr) (Socket, error) {
			s, err := netio.ListenVRRP(ifname, self)
			if err != nil {
				return nil, err
			}
			return socket{s}, nil
		},
		DialARP: func(ifname string) (Announcer, error) {
			return netio.DialARP(ifname)
		},
		WatchPeer:      func(o notice.Options) PeerWatch { return notice.New(o) },
		Sweep:          vip.Sweep,
		Addresses:      table,
		WatchAddresses: watchAddresses,
		WatchLinks:     watchLinks,
	}, nil
}

// socket is a VRRP socket on which an interface that is down is no error: it
// can be read again when the interface is up.
type socket struct{ *netio.VRRP }

func (s socket) TryRead(b []byte) (int, bool, error) {
	n, ok, err := s.VRRP.TryRead(b)
	if err != nil && netio.Retryable(err) {
		return 0, false, nil
	}
	return n, ok, err
}

func watchLinks(ctx context.Context, changed func(Link)) error {
	w, err := netio.WatchLinks()
	if err != nil {
		return err
	}
	return relay(ctx, w.Run, w.Events(), func(e netio.LinkEvent) { changed(Link(e)) })
}

func watchAddresses(ctx context.Context, gone func(string, netip.Prefix)) error {
	w, err := vip.NewWatch()
	if err != nil {
		return err
	}
	return relay(ctx, w.Run, w.Removed(), func(r vip.Removed) { gone(r.Interface, r.Prefix) })
}

// relay runs a watch and hands what it delivers to tell, until ctx is done.
func relay[T any](ctx context.Context, run func(context.Context) error, news <-chan T, tell func(T)) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return run(ctx) })
	g.Go(func() error {
		for {
			select {
			case n := <-news:
				tell(n)
			case <-ctx.Done():
				return nil
			}
		}
	})
	return g.Wait()
}
