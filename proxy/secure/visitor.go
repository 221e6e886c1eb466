package secure

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
)

// Visitor is who a client is by its certificate, which was verified.
type Visitor struct {
	Subject     []byte // as RFC 4514 has it, in ASCII
	Fingerprint []byte // SHA-256 of the certificate, in hexadecimal
	// Lines are the fields that tell a server of HTTP, each with its line end. What
	// clients send under these names is to be dropped, see package forward.
	Lines []byte
}

// VisitorOf returns who the client of a connection is; nil: it has not shown a
// certificate.
func VisitorOf(s tls.ConnectionState) *Visitor {
	if len(s.VerifiedChains) == 0 || len(s.PeerCertificates) == 0 {
		return nil
	}
	cert := s.PeerCertificates[0]
	digest := sha256.Sum256(cert.Raw)
	v := &Visitor{Subject: appendEscaped(nil, cert.Subject.String()), Fingerprint: hex.AppendEncode(nil, digest[:])}
	// RFC 9440, section 2: a sequence of bytes is base64 between colons.
	b := make([]byte, 0, base64.StdEncoding.EncodedLen(len(cert.Raw))+len(v.Subject)+256)
	b = base64.StdEncoding.AppendEncode(append(b, "Client-Cert: :"...), cert.Raw)
	b = append(append(b, ":\r\nX-Client-Cert-Subject: "...), v.Subject...)
	b = append(append(b, "\r\nX-Client-Cert-Fingerprint: "...), v.Fingerprint...)
	v.Lines = append(b, "\r\nX-Client-Verified: true\r\n"...)
	return v
}

// appendEscaped appends a name with all but what is visible in ASCII escaped (RFC 4514,
// section 2.4): it becomes the value of a field, and authorities write what they like.
func appendEscaped(dst []byte, name string) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range []byte(name) {
		if c >= ' ' && c <= '~' {
			dst = append(dst, c)
			continue
		}
		dst = append(dst, '\\', digits[c>>4], digits[c&15])
	}
	return dst
}
