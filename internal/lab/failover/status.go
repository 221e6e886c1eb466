package failover

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Role asks the node for the role it plays: active, backup or init; "down" when
// it does not answer.
func (t *Tandem) Role(ctx context.Context, node string) string {
	role, err := roleAt(ctx, t.socket(node))
	if err != nil {
		return "down"
	}
	return role
}

// roleAt reads the role of the only VIP from the admin API on a unix socket.
func roleAt(ctx context.Context, socket string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	transport := &http.Transport{
		DisableKeepAlives: true, // the node may be another process the next time
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://tandem/v1/status", nil)
	if err != nil {
		return "", err
	}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	var status struct {
		VIPs []struct {
			Role string `json:"role"`
		} `json:"vips"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&status); err != nil {
		return "", fmt.Errorf("decode status: %w", err)
	}
	if len(status.VIPs) != 1 {
		return "", fmt.Errorf("%d VIPs in the status, want 1", len(status.VIPs))
	}
	return status.VIPs[0].Role, nil
}
