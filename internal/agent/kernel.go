package agent

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tandemlb/tandem/internal/await"
	"github.com/tandemlb/tandem/internal/netio"
	"github.com/tandemlb/tandem/internal/notice"
	"github.com/tandemlb/tandem/internal/ownership"
	"github.com/tandemlb/tandem/internal/vip"
	"github.com/tandemlb/tandem/internal/vmac"
	"github.com/tandemlb/tandem/vrrp"
)

// Kernel returns the host that this process runs on.
func Kernel() (Host, error) {
	table, err := vip.New()
	if err != nil {
		return Host{}, err
	}
	macvlans, err := vmac.New()
	if err != nil {
		return Host{}, errors.Join(err, table.Close())
	}
	return Host{
		NewWaiter: newWaiter,
		Listen: func(o SocketOptions) (Socket, error) {
			s, err := netio.OpenVRRP(netio.VRRPOptions{Interface: o.Interface, Self: o.Self, VirtualMAC: hardware(o.Virtual), Unicast: o.Unicast})
			if err != nil {
				return nil, err
			}
			return socket{s}, nil
		},
		WatchPeer: func(o notice.Options) PeerWatch { return notice.New(o) },
		Owner: ownership.Host{
			Sweep: vip.Sweep, Addresses: table, Macvlans: macvlans, SweepMacvlans: vmac.Sweep, AcceptLocal: vip.AcceptLocal, DialAnnouncer: dialAnnouncer,
		},
		WatchAddresses: watchAddresses,
		WatchLinks:     watchLinks,
		WatchGateway:   watchGateway,
		WatchClaims:    watchClaims,
	}, nil
}

func newWaiter() (Waiter, error) {
	w, err := await.New()
	if err != nil {
		return nil, err
	}
	return waiter{w}, nil
}

// waiter waits for the sockets that Listen returns.
type waiter struct{ *await.Waiter }

func (w waiter) Add(s Socket) error    { return w.Waiter.Add(s.(socket)) }
func (w waiter) Remove(s Socket) error { return w.Waiter.Remove(s.(socket)) }

// hardware returns the address as netio takes it: nil for that of the interface.
func hardware(m ownership.MAC) net.HardwareAddr {
	if m == (ownership.MAC{}) {
		return nil
	}
	return m[:]
}

func dialAnnouncer(o ownership.LinkOptions) (ownership.Announcer, error) {
	return netio.DialAnnouncer(o.Interface, hardware(o.Virtual))
}

// socket is a VRRP socket on which an interface that is down is no error: it
// can be read again when the interface is up.
type socket struct{ *netio.VRRPConn }

func (s socket) TryRead(b []byte) (vrrp.Packet, bool, error) {
	d, ok, err := s.VRRPConn.TryRead(b)
	switch {
	case err != nil && netio.Retryable(err):
		return vrrp.Packet{}, false, nil
	case err != nil || !ok:
		return vrrp.Packet{}, false, err
	case d.Packet != nil:
		p, err := vrrp.ParseIPv4(d.Packet)
		return p, err == nil, err
	}
	return vrrp.Packet{
		Header: vrrp.Header{Source: d.Source, Destination: d.Destination}, TTL: d.TTL, Payload: d.Payload,
	}, true, nil
}

// The gateway is asked twice a second, and lost after three answers that did not
// come: what follows is for the supervisors of both nodes to compare.
const (
	gatewayEvery  = 500 * time.Millisecond
	gatewayMisses = 3
)

func watchGateway(ctx context.Context, o GatewayOptions, changed func(alive bool)) error {
	return netio.WatchGateway(ctx, netio.GatewayOptions{
		Interface: o.Interface, Self: o.Self, Gateway: o.Gateway, Every: gatewayEvery, Misses: gatewayMisses,
	}, changed)
}

func watchClaims(ctx context.Context, o ClaimOptions, claimed func(Claim)) error {
	w, err := netio.WatchClaims(o.Interface, o.Addresses, hardware(o.Virtual))
	if err != nil {
		return err
	}
	return w.Run(ctx, func(k netio.Claim) {
		if len(k.MAC) == len(ownership.MAC{}) {
			claimed(Claim{Address: k.Addr, MAC: ownership.MAC(k.MAC)})
		}
	})
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
