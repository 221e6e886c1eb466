package ownership

import "github.com/tandemlb/tandem/internal/ipc"

// device is the macvlan on which the addresses of a virtual router live that has
// a MAC address of its own; the zero value stands for none.
type device struct {
	parent string
	vrid   uint8
	ipv6   bool
	ifname string
}

// deviceOf returns the device that r needs, without its name.
func deviceOf(r ipc.Router) device {
	d := device{parent: r.Interface}
	if r.VirtualMAC {
		d.vrid, d.ipv6 = r.Params.VRID, r.Params.Self.Is6()
	}
	return d
}

// addDevice makes the device of r, if it needs one, and returns the name of the
// interface on which its addresses live.
func (o *Owner) addDevice(name string, r ipc.Router) (ifname string, err error) {
	d := deviceOf(r)
	if old, ok := o.devices[name]; ok {
		if old.ifname = ""; old == d && r.VirtualMAC {
			return o.devices[name].ifname, nil
		}
		if err := o.removeDevice(name); err != nil {
			return "", err
		}
	}
	if !r.VirtualMAC {
		return r.Interface, nil
	}
	if d.ifname, err = o.host.Macvlans.Prepare(d.parent, d.vrid, d.ipv6); err != nil {
		return "", err
	}
	o.devices[name] = d
	return d.ifname, nil
}

// holdsOn returns the interface on which the addresses of r live.
func (o *Owner) holdsOn(r ipc.Router) string {
	if d, ok := o.devices[r.Name]; ok {
		return d.ifname
	}
	return r.Interface
}

// setUp lets the device of a router receive, or silences it.
func (o *Owner) setUp(name string, up bool) error {
	d, ok := o.devices[name]
	if !ok {
		return nil
	}
	return o.host.Macvlans.SetUp(d.parent, d.vrid, d.ipv6, up)
}

func (o *Owner) removeDevice(name string) error {
	d, ok := o.devices[name]
	if !ok {
		return nil
	}
	delete(o.devices, name)
	return o.host.Macvlans.Remove(d.parent, d.vrid, d.ipv6)
}
