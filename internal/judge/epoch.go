package judge

import (
	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/peer"
	"github.com/tandemlb/tandem/vrrp"
)

// Foreign returns what to tell this node's agent of the announcements of a peer:
// the routers whose addresses it announced in an epoch that this node has to go
// beyond. That is now, if this node owns the addresses and the peer does not any
// more; with its next announcement, if it does not own them. So the owner's
// announcement is the last, even if neither node heard the other while both were
// Active. While both are, there is no last word to be had.
func Foreign(own []ipc.RouterState, p peer.State) []ipc.Announce {
	var found []ipc.Announce
	for _, r := range own {
		theirs := p.VIPs[r.Name]
		switch {
		case r.Holds && theirs.Role != vrrp.Active && theirs.Epoch >= r.Epoch && theirs.Epoch > 0,
			!r.Holds && theirs.Epoch > max(r.Epoch, r.Heard):
			found = append(found, ipc.Announce{Router: r.Name, Above: theirs.Epoch})
		}
	}
	return found
}
