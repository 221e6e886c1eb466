package l7

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/tandemlb/tandem/proxy/dial"
	"github.com/tandemlb/tandem/proxy/upstream"
)

const (
	// maxIdle bounds the idle connections to one server.
	maxIdle = 512
	// idleUpstream is shorter than what servers commonly allow (5 s), so that it
	// is us who close an idle connection, not the server under a request.
	idleUpstream = 4 * time.Second
	// responseTimeout bounds the wait for a response head.
	responseTimeout = 30 * time.Second
	// continueTimeout is how long a request with "Expect: 100-continue" waits for
	// the server's word before its body is sent regardless (RFC 9110, section
	// 10.1.1, allows for servers that never say it).
	continueTimeout = time.Second
	// maxResponseHead bounds a response head, in bytes.
	maxResponseHead = 64 << 10
)

// Backend is a pool together with the idle connections to its servers.
type Backend struct {
	pool  *upstream.Pool
	links map[*upstream.Server]*link
}

// link is the way to one server.
type link struct {
	host      string // address, for requests without a Host
	transport *http.Transport
}

// NewBackend returns a backend for pool. Of old, which may be nil, it takes over
// the connections to the servers that pool still has; when both have the same
// pool, it returns old itself.
func NewBackend(pool *upstream.Pool, old *Backend, d *dial.Dialer) *Backend {
	if old != nil && old.pool == pool {
		return old
	}
	b := &Backend{pool: pool, links: make(map[*upstream.Server]*link)}
	for _, s := range pool.Servers() {
		if old != nil && old.links[s] != nil {
			b.links[s] = old.links[s]
			continue
		}
		b.links[s] = newLink(s, d)
	}
	return b
}

func newLink(s *upstream.Server, d *dial.Dialer) *link {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &link{
		host: s.Address().String(),
		transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				c, err := d.Dial(ctx, s)
				if err != nil {
					return nil, err
				}
				return c, nil
			},
			Protocols:              &protocols,
			DisableCompression:     true,
			MaxIdleConnsPerHost:    maxIdle,
			IdleConnTimeout:        idleUpstream,
			ResponseHeaderTimeout:  responseTimeout,
			ExpectContinueTimeout:  continueTimeout,
			MaxResponseHeaderBytes: maxResponseHead,
		},
	}
}

// Retire closes the idle connections to servers that next, which may be nil, does
// not have. Requests in progress finish.
func (b *Backend) Retire(next *Backend) {
	for s, l := range b.links {
		if next == nil || next.links[s] != l {
			l.transport.CloseIdleConnections()
		}
	}
}
