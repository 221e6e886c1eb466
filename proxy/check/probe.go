package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/dial"
)

// maxHead bounds the head of a probe's response.
const maxHead = 64 << 10

func newProbe(address netip.AddrPort, check proxy.Check) probe {
	switch check.Kind {
	case proxy.CheckTCP:
		return func(ctx context.Context) (string, bool) { return probeTCP(ctx, address) }
	case proxy.CheckHTTP:
		// One connection a probe: a kept one would outlive the listener that the
		// probe is to tell about.
		transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxHead}
		return func(ctx context.Context) (string, bool) { return probeHTTP(ctx, transport, address, check) }
	default:
		panic(fmt.Sprintf("check: unhandled kind %q", check.Kind))
	}
}

func probeTCP(ctx context.Context, address netip.AddrPort) (string, bool) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address.String())
	if err != nil {
		return dial.Evidence(err), false
	}
	c.Close()
	return "connected", true
}

func probeHTTP(ctx context.Context, rt http.RoundTripper, address netip.AddrPort, check proxy.Check) (string, bool) {
	what := check.Method + " " + check.Path
	req, err := http.NewRequestWithContext(ctx, check.Method, "http://"+address.String()+check.Path, nil)
	if err != nil {
		return fmt.Sprintf("%s: %v", what, err), false
	}
	req.Header.Set("User-Agent", "tandem")
	// The transport is used bare: a redirect is an answer, not something to follow.
	res, err := rt.RoundTrip(req)
	if err != nil {
		return what + ": " + evidence(err), false
	}
	res.Body.Close()
	if !check.Expect.Contains(res.StatusCode) {
		return fmt.Sprintf("%s: status %d, expected %d-%d", what, res.StatusCode, check.Expect.Low, check.Expect.High), false
	}
	return fmt.Sprintf("%s: status %d", what, res.StatusCode), true
}

func evidence(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return dial.Evidence(err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	return err.Error()
}
