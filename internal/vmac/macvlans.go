package vmac

import (
	"bytes"
	"errors"
	"fmt"
	"maps"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Macvlans makes and removes the interfaces of virtual routers. It is not safe
// for concurrent use: one goroutine owns it.
type Macvlans struct {
	nl *netlink.Handle
	// originals are the settings of parents, by index, from before the first of
	// their macvlans. The macvlans bear them too, but others may delete those.
	originals map[int]settings
}

// New opens a Macvlans. It changes nothing.
func New() (*Macvlans, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket for virtual MAC addresses: %w", err)
	}
	return &Macvlans{nl: h, originals: map[int]settings{}}, nil
}

// Close closes the Macvlans. The interfaces stay.
func (v *Macvlans) Close() error {
	v.nl.Close()
	return nil
}

// Prepare sees to it that the interface of m is there and ready for Up: a new one
// is down, and sends nothing. One that fits stays as it is, up or down; one of the
// wrong MAC address or parent is replaced. The first of a parent with IPv4 changes
// settings of the parent, which is where the host's packets leave from: that is
// not to answer for the virtual addresses, nor to ask in their name.
//
// After an error nothing half-made is left; Prepare may be called again.
func (v *Macvlans) Prepare(m Macvlan) error {
	if err := v.prepare(m); err != nil {
		return fmt.Errorf("prepare virtual MAC address %s on %q: %w", m.MAC(), m.Parent, explain(err))
	}
	return nil
}

func (v *Macvlans) prepare(m Macvlan) error {
	if m.VRID == 0 {
		return errors.New("a virtual router ID is 1 to 255")
	}
	parent, err := v.nl.LinkByName(m.Parent)
	if err != nil {
		return fmt.Errorf("find the interface: %w", err)
	}
	link, err := v.nl.LinkByName(m.Name())
	_, isMacvlan := link.(*netlink.Macvlan)
	switch {
	case err == nil && !isMacvlan:
		return fmt.Errorf("the name %q is taken by an interface of type %s: rename or delete that", m.Name(), link.Type())
	case err == nil && fits(m, link, parent):
		return v.configure(m, link, parent)
	case err == nil:
		if err := v.nl.LinkDel(link); err != nil {
			return fmt.Errorf("delete the old %q of another MAC address or parent: %w", m.Name(), err)
		}
	case !isAbsent(err):
		return fmt.Errorf("find %q: %w", m.Name(), err)
	}
	if link, err = v.add(m, parent); err != nil {
		return err
	}
	if err := v.configure(m, link, parent); err != nil {
		return errors.Join(err, v.Remove(m))
	}
	return nil
}

// fits reports whether link is the one for m that Prepare would make.
func fits(m Macvlan, link, parent netlink.Link) bool {
	l, ok := link.(*netlink.Macvlan)
	return ok && l.Mode == netlink.MACVLAN_MODE_BRIDGE && l.ParentIndex == parent.Attrs().Index &&
		bytes.Equal(l.HardwareAddr, m.MAC())
}

// add makes the interface, in the mode that is called bridge: in the private one
// a macvlan takes for itself all multicast from its own MAC address, which is the
// peer's too. Its advertisements would no longer reach the parent.
func (v *Macvlans) add(m Macvlan, parent netlink.Link) (netlink.Link, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex, attrs.HardwareAddr = m.Name(), parent.Attrs().Index, m.MAC()
	err := v.nl.LinkAdd(&netlink.Macvlan{LinkAttrs: attrs, Mode: netlink.MACVLAN_MODE_BRIDGE})
	if err != nil {
		return nil, fmt.Errorf("add %q: %w", m.Name(), explainAdd(err))
	}
	link, err := v.nl.LinkByName(m.Name())
	if err != nil {
		return nil, fmt.Errorf("find %q again: %w", m.Name(), err)
	}
	return link, nil
}

func explainAdd(err error) error {
	switch {
	case errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w: the kernel has no macvlan: load the module macvlan or leave virtual_mac out", err)
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("%w: the interface is part of a bridge or bond: name that instead", err)
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("%w: only an Ethernet interface can have virtual MAC addresses", err)
	}
	return err
}

// configure applies the settings of the interface and of its parent.
func (v *Macvlans) configure(m Macvlan, link, parent netlink.Link) error {
	if err := m.settings().write(m.Name()); err != nil {
		return err
	}
	if !m.IPv6 {
		return v.configureParent(link, parent)
	}
	if err := v.muzzle(link); err != nil {
		return err
	}
	return v.mark(link, settings{})
}

// configureParent changes settings of the parent. What it had before is written
// down on the macvlan first: whoever finds that after our death can restore it.
func (v *Macvlans) configureParent(link, parent netlink.Link) error {
	name, index := parent.Attrs().Name, parent.Attrs().Index
	originals, err := v.recall(index)
	if err != nil {
		return err
	}
	changes := settings{}
	for key, want := range parentSettings {
		value, err := read(name, key)
		if err != nil {
			return err
		}
		if value >= want {
			continue
		}
		changes[key] = want
		if _, known := originals[key]; !known {
			originals[key] = value
		}
	}
	v.originals[index] = originals
	if err := v.mark(link, originals); err != nil {
		return err
	}
	return changes.write(name)
}

// recall returns what a parent had before the first of its macvlans.
func (v *Macvlans) recall(parent int) (settings, error) {
	if s, ok := v.originals[parent]; ok {
		return maps.Clone(s), nil
	}
	all, err := list(v.nl)
	if err != nil {
		return nil, err
	}
	s := settings{}
	for _, l := range all {
		if l.ParentIndex == parent {
			maps.Copy(s, l.originals)
		}
	}
	return s, nil
}

func (v *Macvlans) mark(link netlink.Link, originals settings) error {
	if err := v.nl.LinkSetAlias(link, originals.mark()); err != nil {
		return fmt.Errorf("write its alias: %w", err)
	}
	return nil
}

// Up sets the interface up, which is to be done before addresses are set on it.
func (v *Macvlans) Up(m Macvlan) error {
	link, err := v.nl.LinkByName(m.Name())
	if err == nil {
		err = v.nl.LinkSetUp(link)
	}
	if errors.Is(err, unix.EADDRINUSE) {
		err = fmt.Errorf("%w: another interface on %q has the MAC address %s: is another VRRP program running?", err, m.Parent, m.MAC())
	}
	if err != nil {
		return fmt.Errorf("set %q up: %w", m.Name(), explain(err))
	}
	return nil
}

// Down sets the interface down: frames to its MAC address are ignored from then
// on. It is no error when the interface is not there.
func (v *Macvlans) Down(m Macvlan) error {
	link, err := v.nl.LinkByName(m.Name())
	if err == nil {
		err = v.nl.LinkSetDown(link)
	}
	if err != nil && !isAbsent(err) {
		return fmt.Errorf("set %q down: %w", m.Name(), explain(err))
	}
	return nil
}

// Remove deletes the interface, and, with the last of IPv4 on its parent, restores
// the settings of the parent but for those that someone else has changed since.
// It is no error when the interface, or its parent, is not there.
func (v *Macvlans) Remove(m Macvlan) error {
	if err := v.remove(m); err != nil && !isAbsent(err) {
		return fmt.Errorf("remove %q: %w", m.Name(), explain(err))
	}
	return nil
}

func (v *Macvlans) remove(m Macvlan) error {
	// Restored first: after the deletion it would be forgotten if we died.
	if !m.IPv6 {
		if err := v.restore(m); err != nil && !isAbsent(err) {
			return err
		}
	}
	link, err := v.nl.LinkByName(m.Name())
	if err != nil {
		return err
	}
	if l, ok := link.(*netlink.Macvlan); !ok || !bytes.Equal(l.HardwareAddr, m.MAC()) {
		return nil // not of our making
	}
	return v.nl.LinkDel(link)
}

// restore gives the parent of m back what it had before, unless another virtual
// router of IPv4 still needs ours.
func (v *Macvlans) restore(m Macvlan) error {
	parent, err := v.nl.LinkByName(m.Parent)
	if err != nil {
		return err
	}
	index := parent.Attrs().Index
	all, err := list(v.nl)
	if err != nil {
		return err
	}
	for _, l := range all {
		if l.ParentIndex == index && l.Name != m.Name() && !l.isIPv6() {
			return nil
		}
	}
	originals, err := v.recall(index)
	if err != nil {
		return err
	}
	if err := originals.restore(parent.Attrs().Name); err != nil {
		return err
	}
	delete(v.originals, index)
	return nil
}
