package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

const (
	postTimeout = 10 * time.Second
	dialTimeout = 5 * time.Second
	// maxAnswer is how much of an answer is read.
	maxAnswer = 64 << 10
	// maxAfter is the longest wait that a receiver may ask for.
	maxAfter = 5 * time.Minute
)

// newClient returns a client that speaks to one receiver.
func newClient(lookup Lookup) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:         dial(lookup),
			TLSHandshakeTimeout: dialTimeout,
			MaxIdleConns:        1,
			IdleConnTimeout:     time.Minute,
		},
		// A receiver that has moved is for the config to name.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// dial connects to a host by its addresses, one after the other.
func dial(lookup Lookup) func(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		if _, err := netip.ParseAddr(host); err == nil {
			return dialer.DialContext(ctx, network, address)
		}
		all, err := lookup(ctx, host)
		if err != nil {
			return nil, err
		}
		var failed error
		for _, a := range all {
			c, err := dialer.DialContext(ctx, network, net.JoinHostPort(a.Unmap().String(), port))
			if err == nil {
				return c, nil
			}
			failed = errors.Join(failed, err)
		}
		return nil, failed
	}
}

// refusal is an answer that does not accept what was sent.
type refusal struct {
	status string
	again  bool          // the same may be sent once more
	after  time.Duration // not before that; 0: the receiver does not say
}

// Error implements error.
func (r *refusal) Error() string { return "the receiver answers " + r.status }

// mayRepeat reports whether what failed with err may be sent once more, and after which
// time at least (https://opentelemetry.io/docs/specs/otlp/#otlphttp-response).
func mayRepeat(err error) (after time.Duration, again bool) {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.after, r.again
	}
	return 0, true
}

// post sends body, which is compressed, and returns what the receiver says of it.
func (e *Exporter) post(ctx context.Context, to *target, body []byte) (partly, error) {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.receiver+path, bytes.NewReader(body))
	if err != nil {
		return partly{}, fmt.Errorf("send spans: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("Content-Encoding", "gzip")
	req.Header.Set("User-Agent", service+"/"+to.of.Version)
	res, err := e.client.Do(req)
	if err != nil {
		return partly{}, fmt.Errorf("send spans: %w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	switch {
	case res.StatusCode/100 != 2:
		return partly{}, fmt.Errorf("send spans to %s: %w", to.receiver, refusalOf(res, time.Now()))
	case err != nil:
		return partly{}, nil // it has taken them
	}
	return rejection(answer), nil
}

// refusalOf says what res, which came at now, means.
func refusalOf(res *http.Response, now time.Time) *refusal {
	r := &refusal{status: res.Status}
	switch res.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		r.again = true
		r.after = retryAfter(res.Header.Get("Retry-After"), now)
	}
	return r
}

// retryAfter returns how long to wait by the field Retry-After (RFC 9110, section
// 10.2.3): seconds, or a date. What is neither is 0.
func retryAfter(value string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(value, 10, 32); err == nil {
		return min(time.Duration(n)*time.Second, maxAfter)
	}
	if t, err := http.ParseTime(value); err == nil {
		return min(max(t.Sub(now), 0), maxAfter)
	}
	return 0
}

// partly says what a receiver did not take of what it was sent.
type partly struct {
	rejected int64 // spans
	why      string
}

// rejection reads the answer of a receiver. What is no message of OTLP rejects nothing.
func rejection(answer []byte) partly {
	var m collectorpb.ExportTraceServiceResponse
	if proto.Unmarshal(answer, &m) != nil {
		return partly{}
	}
	p := m.GetPartialSuccess()
	return partly{max(p.GetRejectedSpans(), 0), p.GetErrorMessage()}
}

// compress returns text compressed, in memory of its own: a client may read on after it
// has given up.
func (e *Exporter) compress(text []byte) ([]byte, error) {
	var b bytes.Buffer
	if e.zip == nil {
		z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
		if err != nil {
			return nil, err
		}
		e.zip = z
	} else {
		e.zip.Reset(&b)
	}
	if _, err := e.zip.Write(text); err != nil {
		return nil, err
	}
	if err := e.zip.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
