package main

import (
	"fmt"
	"slices"

	"github.com/tandemlb/tandem/internal/admin"
)

// sessions says whether the sessions of TLS survive a failover, where there are any.
func (p *statusPrinter) sessions(s *admin.Status) {
	keys := s.Tickets.Keys
	terminates := slices.ContainsFunc(s.Certificates.List, func(c admin.Certificate) bool { return c.Listener != "" })
	switch {
	case !terminates || len(keys) == 0:
	case s.Tickets.Unshared != "":
		p.section("sessions\tNOT SHARED: " + s.Tickets.Unshared)
	case s.Tickets.Shared:
		p.section(fmt.Sprintf("sessions\tof TLS survive a failover: %d keys are shared with the peer, the newest is %s old", len(keys), age(p.now, keys[0].Born)))
	}
}
