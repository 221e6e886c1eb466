package ownership

import (
	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/vmac"
)

// deviceOf returns the macvlan on which the addresses of r live; the zero value
// when they live on the interface itself.
func deviceOf(r ipc.Router) vmac.Macvlan {
	if !r.VirtualMAC {
		return vmac.Macvlan{}
	}
	return vmac.Macvlan{Parent: r.Interface, VRID: r.Params.VRID, IPv6: r.Params.Self.Is6()}
}

// addDevice makes the device of r, if it needs one, and returns the name of the
// interface on which its addresses live.
func (o *Owner) addDevice(name string, r ipc.Router) (ifname string, err error) {
	d := deviceOf(r)
	if old, ok := o.devices[name]; ok && old != d {
		if err := o.removeDevice(name); err != nil {
			return "", err
		}
	}
	if !r.VirtualMAC {
		return r.Interface, nil
	}
	if err := o.host.Macvlans.Prepare(d); err != nil {
		return "", err
	}
	o.devices[name] = d
	return d.Name(), nil
}

// holdsOn returns the interface on which the addresses of r live.
func holdsOn(r ipc.Router) string {
	if r.VirtualMAC {
		return deviceOf(r).Name()
	}
	return r.Interface
}

// setUp lets the device of a router receive, or silences it.
func (o *Owner) setUp(name string, up bool) error {
	d, ok := o.devices[name]
	switch {
	case !ok:
		return nil
	case up:
		return o.host.Macvlans.Up(d)
	}
	return o.host.Macvlans.Down(d)
}

func (o *Owner) removeDevice(name string) error {
	d, ok := o.devices[name]
	if !ok {
		return nil
	}
	delete(o.devices, name)
	return o.host.Macvlans.Remove(d)
}
