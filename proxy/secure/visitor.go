package secure

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
)

// Visitor is who a client is by its certificate, which was verified.
type Visitor struct {
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
	subject := cert.Subject.String() // as RFC 4514 has it
	// RFC 9440, section 2: a sequence of bytes is base64 between colons.
	b := make([]byte, 0, base64.StdEncoding.EncodedLen(len(cert.Raw))+len(subject)+256)
	b = base64.StdEncoding.AppendEncode(append(b, "Client-Cert: :"...), cert.Raw)
	b = appendEscaped(append(b, ":\r\nX-Client-Cert-Subject: "...), subject)
	b = hex.AppendEncode(append(b, "\r\nX-Client-Cert-Fingerprint: "...), digest[:])
	return &Visitor{Lines: append(b, "\r\nX-Client-Verified: true\r\n"...)}
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
