package check

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/tandemlb/tandem/proxy/dial"
	"github.com/tandemlb/tandem/proxy/proxyproto"
)

// target is a server, and how it is spoken to.
type target struct {
	address netip.AddrPort
	Way
}

// dial connects to the server. With TLS one of protocols is spoken on the connection;
// without any, which one is not said.
func (t target) dial(ctx context.Context, protocols ...string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", t.address.String())
	if err != nil {
		return nil, err
	}
	// None of the connection's addresses is that of a client. What is sent first on it
	// waits for nobody.
	if header := proxyproto.Append(nil, t.Header, netip.AddrPort{}, netip.AddrPort{}); len(header) > 0 {
		if _, err := c.Write(header); err != nil {
			c.Close()
			return nil, err
		}
	}
	if t.TLS == nil {
		return c, nil
	}
	config := t.TLS.Clone()
	config.NextProtos = protocols
	shown := false
	if own := config.GetClientCertificate; own != nil {
		config.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			shown = true
			return own(r)
		}
	}
	secured := tls.Client(c, config)
	err = secured.HandshakeContext(ctx)
	if err == nil && shown && len(protocols) == 0 {
		err = accepted(ctx, secured)
	}
	if err != nil {
		c.Close()
		return nil, &dial.HandshakeError{Err: err}
	}
	return secured, nil
}

// accepted says why the server does not take the certificate that it was shown. With
// TLS 1.3 it looks at it once the handshake of this side is over, and there is nothing
// else to come from it that would tell: this side says that it has nothing to say, and
// whatever the server does about that is well but an alert.
func accepted(ctx context.Context, c *tls.Conn) error {
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	cut := c.CloseWrite()
	if _, err := c.Read(make([]byte, 1)); dial.Rejected(err) {
		return err
	}
	return cut
}

// host returns what the server is called in a request: by its address, or with TLS by
// the name that its certificate is to have, since it may have several.
func (t target) host() string {
	if t.TLS == nil || t.TLS.ServerName == "" || t.TLS.ServerName == t.address.Addr().Unmap().String() {
		return t.address.String()
	}
	return net.JoinHostPort(t.TLS.ServerName, strconv.Itoa(int(t.address.Port())))
}
