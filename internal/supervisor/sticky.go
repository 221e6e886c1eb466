package supervisor

import (
	"fmt"

	"github.com/tandemlb/tandem/internal/config"
	"github.com/tandemlb/tandem/proxy/sticky"
)

// stickyKey returns the key of sticky cookies. Without a key file the nodes have nothing
// in common that is secret. Then the key hides the addresses of the servers from who
// does not know the nodes, and no more.
func stickyKey(c *config.Config, cluster []byte) ([]byte, error) {
	secret := cluster
	if len(secret) == 0 {
		for _, n := range c.Nodes {
			secret = fmt.Appendf(secret, "node %s=%s\n", n.Name, n.Address)
		}
	}
	return sticky.Key(secret)
}
