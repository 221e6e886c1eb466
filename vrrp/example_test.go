package vrrp_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/tandemlb/tandem/vrrp"
)

// A node comes up beside nobody, takes the address, and hands it to a better
// router that appears later.
func Example() {
	router, err := vrrp.NewRouter(vrrp.Params{
		VRID: 51, Priority: 150, Preempt: true, Interval: 100 * time.Millisecond,
		Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.100")},
		Self:      netip.MustParseAddr("192.0.2.11"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	show := func(out vrrp.Output) {
		for _, a := range out.Send {
			fmt.Println("send priority", a.Priority)
		}
		if c := out.Change; c != nil {
			fmt.Printf("%v -> %v: %s; holds the address: %v\n", c.From, c.To, c.Reason, router.Holds())
		}
		if out.Announce {
			fmt.Println("announce")
		}
	}

	show(router.Startup(time.Now()))
	now := router.Next() // where a driver would sleep
	show(router.Tick(now))

	better := vrrp.Advert{
		Version: 3, VRID: 51, Priority: 200, Interval: 100 * time.Millisecond,
		Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.100")},
	}
	show(router.Receive(now.Add(time.Millisecond), netip.MustParseAddr("192.0.2.12"), better))

	// Output:
	// init -> backup: started; holds the address: false
	// send priority 150
	// backup -> active: no advertisement from the Active router for 341ms; holds the address: true
	// announce
	// send priority 150
	// active -> backup: higher priority 200 from 192.0.2.12; holds the address: false
}
