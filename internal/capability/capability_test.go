package capability

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMissingCapabilitiesAreNamed(t *testing.T) {
	all := uint64(1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW | 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID | 1<<unix.CAP_KILL)
	for name, tc := range map[string]struct {
		effective uint64
		want      []string
	}{
		"all":        {all, nil},
		"no raw":     {all &^ (1 << unix.CAP_NET_RAW), []string{"lacks CAP_NET_RAW (to send VRRP and ARP)", "--cap-add NET_RAW"}},
		"none":       {0, []string{"CAP_NET_ADMIN (to set addresses) and CAP_NET_RAW", "--cap-add NET_ADMIN --cap-add NET_RAW", "AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW"}},
		"other ones": {1 << unix.CAP_CHOWN, []string{"CAP_NET_ADMIN", "CAP_NET_RAW"}},
		"no worker":  {all &^ (1<<unix.CAP_SETUID | 1<<unix.CAP_KILL), []string{"lacks CAP_SETUID (to run the worker as another user) and CAP_KILL (to end", "--cap-add SETUID --cap-add KILL"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := missing(slices.Concat(forVIPs, forWorker), tc.effective)
			if (err == nil) != (tc.want == nil) {
				t.Fatalf("got %v", err)
			}
			for _, part := range tc.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
}
