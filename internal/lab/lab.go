package lab

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// closeWithin bounds how long Close waits for the processes it kills.
const closeWithin = 5 * time.Second

// bridgeName is the bridge's name in its own namespace, where each other link
// is named after the host at its other end.
const bridgeName = "br0"

// Spec describes a lab: hosts on one bridge.
type Spec struct{ Hosts []HostSpec }

// HostSpec describes a host. Its name is unique in the lab and at most 15
// bytes long (it names a link); its addresses are on the interface eth0.
type HostSpec struct {
	Name      string
	Addresses []netip.Prefix
}

// A Lab is a running network. Its methods, and those of its hosts, may be
// called by several goroutines at once.
type Lab struct {
	bridgeNS netns.NsHandle
	bridge   *netlink.Handle
	bridgeID int // link index of the bridge
	hosts    map[string]*Host

	mu        sync.Mutex
	closed    bool
	processes []*Process
	listeners []io.Closer
}

// New builds the network of spec: when it returns, every host reaches every
// other. The caller closes it.
func New(spec Spec) (*Lab, error) {
	l := &Lab{bridgeNS: netns.None(), hosts: make(map[string]*Host, len(spec.Hosts))}
	if err := l.build(spec); err != nil {
		return nil, fmt.Errorf("build lab: %w", errors.Join(err, l.Close()))
	}
	return l, nil
}

func (l *Lab) build(spec Spec) (err error) {
	if l.bridgeNS, err = newNamespace(); err != nil {
		return err
	}
	if err := inNamespace(l.bridgeNS, func() error {
		return setSysctls("1", "ipv6/conf/all/disable_ipv6", "ipv6/conf/default/disable_ipv6")
	}); err != nil {
		return err
	}
	if l.bridge, err = netlink.NewHandleAt(l.bridgeNS, unix.NETLINK_ROUTE); err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	if err := l.addBridge(); err != nil {
		return fmt.Errorf("add bridge: %w", permitted(err))
	}
	for _, h := range spec.Hosts {
		if _, ok := l.hosts[h.Name]; ok || h.Name == "" || h.Name == bridgeName || h.Name == "lo" {
			return fmt.Errorf("host name %q is empty, reserved or not unique", h.Name)
		}
		host := &Host{lab: l, name: h.Name, ns: netns.None()}
		l.hosts[h.Name] = host
		if err := host.build(h.Addresses); err != nil {
			return fmt.Errorf("host %q: %w", h.Name, err)
		}
	}
	return nil
}

func (l *Lab) addBridge() error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = bridgeName
	// Without a querier on the network, snooping would only lose multicast
	// that nobody has joined lately.
	snooping := false
	bridge := &netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}
	if err := l.bridge.LinkAdd(bridge); err != nil {
		return err
	}
	l.bridgeID = bridge.Index
	return l.bridge.LinkSetUp(bridge)
}

// Host returns the host of that name. It panics when the Spec named none such.
func (l *Lab) Host(name string) *Host {
	h, ok := l.hosts[name]
	if !ok {
		panic(fmt.Sprintf("lab: no host %q", name))
	}
	return h
}

// Close kills the processes that the lab started, with their descendants,
// closes its listeners and takes the network down. It may be called again.
func (l *Lab) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	processes, listeners := l.processes, l.listeners
	l.mu.Unlock()

	errs := []error{Kill(processes...)}
	timeout := time.NewTimer(closeWithin)
	defer timeout.Stop()
	for _, p := range processes {
		select {
		case <-p.Done():
		case <-timeout.C:
			timeout.Reset(0) // nor wait for those that follow
			errs = append(errs, fmt.Errorf("process %d (%s) on host %q outlives SIGKILL", p.PID(), p.cmd.Path, p.host.name))
		}
	}
	for _, c := range listeners {
		c.Close() // its owner may have closed it before
	}
	for _, h := range l.hosts {
		errs = append(errs, h.close())
	}
	if l.bridge != nil {
		l.bridge.Close()
	}
	if l.bridgeNS.IsOpen() {
		errs = append(errs, l.bridgeNS.Close())
	}
	return errors.Join(errs...)
}

// adopt registers something to end at Close; it reports whether the lab is
// still open.
func (l *Lab) adopt(p *Process, c io.Closer) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	if p != nil {
		l.processes = append(l.processes, p)
	}
	if c != nil {
		l.listeners = append(l.listeners, c)
	}
	return true
}
