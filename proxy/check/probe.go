package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/dial"
	"github.com/tandemlb/tandem/proxy/http1"
	"github.com/tandemlb/tandem/proxy/secure"
)

// maxHead bounds the head of a probe's response.
const maxHead = 64 << 10

func newProbe(address netip.AddrPort, check proxy.Check) probe {
	switch check.Kind {
	case proxy.CheckTCP:
		return func(ctx context.Context, way Way) (string, sight) { return probeTCP(ctx, target{address, way}) }
	case proxy.CheckHTTP:
		return func(ctx context.Context, way Way) (string, sight) { return probeHTTP(ctx, target{address, way}, check) }
	default:
		panic(fmt.Sprintf("check: unhandled kind %q", check.Kind))
	}
}

func probeTCP(ctx context.Context, to target) (string, sight) {
	c, err := to.dial(ctx)
	if err != nil {
		return dial.Evidence(err), blame(err)
	}
	c.Close()
	if to.TLS != nil {
		return "TLS: connected", sawGood
	}
	return "connected", sawGood
}

// blame says what an error tells of the server.
func blame(err error) sight {
	if dial.Blames(err) {
		return sawBad
	}
	return sawNothing
}

func probeHTTP(ctx context.Context, to target, check proxy.Check) (string, sight) {
	what := check.Method + " " + check.Path
	status, err := ask(ctx, to, check)
	switch {
	case err != nil:
		return what + ": " + evidence(err), blame(err)
	// A redirect is an answer, not something to follow.
	case !check.Expect.Contains(status):
		return fmt.Sprintf("%s: status %d, expected %d-%d", what, status, check.Expect.Low, check.Expect.High), sawBad
	}
	return fmt.Sprintf("%s: status %d", what, status), sawGood
}

// ask sends a request and returns the status of the answer, on a connection of its
// own: a kept one would outlive the listener that the probe is to tell about.
func ask(ctx context.Context, to target, check proxy.Check) (int, error) {
	c, err := to.dial(ctx, secure.HTTP11)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	_, err = fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: tandem\r\nConnection: close\r\n\r\n", check.Method, check.Path, to.host())
	if err != nil {
		return 0, err
	}
	limits := http1.DefaultLimits()
	limits.Header, limits.Line = maxHead, maxHead
	var r http1.Response
	method := http1.MethodGet
	if check.Method == "HEAD" {
		method = http1.MethodHead
	}
	r.ResetFor(method, 1)
	buf := make([]byte, 0, 4<<10)
	for {
		n, err := r.Parse(buf, &limits)
		switch {
		case err != nil:
			return 0, err
		case n > 0 && !r.Interim():
			return r.Status, nil
		case n > 0:
			buf = buf[n:]
			continue
		}
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, 2*len(buf)+1024), buf...)
		}
		k, err := c.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+k]
		switch {
		case k > 0 || err == nil:
		case to.TLS != nil && dial.Rejected(err):
			return 0, &dial.HandshakeError{Err: err}
		default:
			return 0, err
		}
	}
}

func evidence(err error) string {
	if _, ok := errors.AsType[*dial.HandshakeError](err); ok {
		return dial.Evidence(err)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return dial.Evidence(err)
	}
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return "no answer in time"
	}
	return err.Error()
}
