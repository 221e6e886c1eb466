package vmac

import "testing"

func TestNameAndMAC(t *testing.T) {
	for _, tt := range []struct {
		macvlan   Macvlan
		name, mac string
	}{
		{Macvlan{"eth0", 51, false}, "vrrp4-51-eth0", "00:00:5e:00:01:33"},
		{Macvlan{"eth0", 51, true}, "vrrp6-51-eth0", "00:00:5e:00:02:33"},
		{Macvlan{"bond0", 255, false}, "vrrp4-255-bond0", "00:00:5e:00:01:ff"},
		{Macvlan{"eth0.7", 1, true}, "vrrp6-1-eth0.7", "00:00:5e:00:02:01"},
		{Macvlan{"bond12", 255, false}, "vrrp4-255-75315", "00:00:5e:00:01:ff"},
		{Macvlan{"enp3s0f0np0", 9, false}, "vrrp4-9-0ac73", "00:00:5e:00:01:09"},
		{Macvlan{"enp3s0f1np1", 9, false}, "vrrp4-9-c57c6", "00:00:5e:00:01:09"},
	} {
		if got := tt.macvlan.Name(); got != tt.name || len(got) > maxName {
			t.Errorf("name of %+v: %q, want %q", tt.macvlan, got, tt.name)
		}
		if got := tt.macvlan.MAC().String(); got != tt.mac {
			t.Errorf("MAC of %+v: %s, want %s", tt.macvlan, got, tt.mac)
		}
	}
}
