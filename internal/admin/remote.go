package admin

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
)

// Credentials are the paths of what a client on TCP shows and believes.
type Credentials struct {
	TokenFile string // empty: no token
	CA        string // bundle in PEM; empty: the CAs that the host knows
}

// Target returns a client for a node that is named by the path of its socket, or by
// the URL of its admin listener; it does not connect yet.
func Target(where string, k Credentials) (*Client, error) {
	if !strings.HasPrefix(where, "http://") && !strings.HasPrefix(where, "https://") {
		return NewClient(where), nil // which needs no credentials
	}
	u, err := url.Parse(where)
	switch {
	case err != nil:
		return nil, fmt.Errorf("ask the node: %w", err)
	case u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return nil, fmt.Errorf("ask the node at %q: want a scheme, a host and a port alone, such as https://192.0.2.11:8404", where)
	}
	c := &Client{socket: where, base: u.Scheme + "://" + u.Host}
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	c.http = http.Client{
		Transport: transport,
		// The token is for this node alone.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if k.CA != "" {
		if transport.TLSClientConfig.RootCAs, err = readCA(k.CA); err != nil {
			return nil, err
		}
	}
	if k.TokenFile != "" {
		if u.Scheme != "https" && !isLoopback(u.Hostname()) {
			return nil, fmt.Errorf("ask the node at %q: the token would go over the network in plain text; use https", where)
		}
		text, err := os.ReadFile(k.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("read the admin token: %w", err)
		}
		c.token = strings.TrimSpace(string(text))
	}
	return c, nil
}

func readCA(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the CA of the node: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read the CA of the node: %s holds no certificate in PEM", path)
	}
	return pool, nil
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// unreachable says what a failed request to a URL most likely means.
func (c *Client) unreachable(err error) error {
	hint := ""
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	switch {
	case errors.As(err, &unknown):
		hint = " (name the CA that has issued its certificate: --ca FILE)"
	case errors.As(err, &name):
		hint = " (the certificate is for other names: ask under one of them)"
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && hint == "" {
		err = op.Err
	}
	return fmt.Errorf("connect to %s: %w%s", c.socket, err, hint)
}
