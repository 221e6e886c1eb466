package secure

import (
	"crypto/tls"
	"errors"
	"strings"
)

// Reason is why a handshake failed, as it is counted.
type Reason string

// The reasons. What becomes of the connection below is for others to say.
const (
	NotTLS           Reason = "tls_not_tls"           // the first bytes are something else
	NoCertificate    Reason = "tls_no_certificate"    // the client shows none, and must
	BadCertificate   Reason = "tls_bad_certificate"   // it shows one that is not accepted
	Revoked          Reason = "tls_revoked"           // it shows one that is revoked
	Version          Reason = "tls_version"           // there is no version that both have
	Cipher           Reason = "tls_cipher"            // there is no cipher or key exchange that both have
	ALPN             Reason = "tls_alpn"              // there is no protocol that both have
	AlertCertificate Reason = "tls_alert_certificate" // the client does not accept ours
	Alert            Reason = "tls_alert"             // the client gives up for another reason
	Malformed        Reason = "tls_malformed"         // what the client says makes no sense
)

// texts are how errors of crypto/tls that have no type of their own begin.
var texts = []struct {
	begin string
	is    Reason
}{
	{"tls: client offered only unsupported versions", Version},
	{"tls: client offered TLS version older", Version},
	{"tls: client using inappropriate protocol fallback", Version},
	{"tls: no cipher suite supported by both", Cipher},
	{"tls: no key exchanges supported by both", Cipher},
	{"tls: no supported elliptic curves offered", Cipher},
	{"tls: peer doesn't support any of the certificate's signature algorithms", Cipher},
	{"tls: client requested unsupported application protocols", ALPN},
	{"tls: client didn't provide a certificate", NoCertificate},
	{"tls: failed to parse client certificate", BadCertificate},
	{"tls: client sent certificate", BadCertificate},
	{"tls: client certificate", BadCertificate},
	{"tls: invalid signature by the client certificate", BadCertificate},
	{"remote error: tls: bad certificate", AlertCertificate},
	{"remote error: tls: unsupported certificate", AlertCertificate},
	{"remote error: tls: revoked certificate", AlertCertificate},
	{"remote error: tls: expired certificate", AlertCertificate},
	{"remote error: tls: unknown certificate", AlertCertificate}, // authority, too
	{"remote error: ", Alert},
}

// ReasonOf says why crypto/tls has ended a handshake with a client. Errors of the
// connection itself are not for it.
func ReasonOf(err error) Reason {
	if errors.Is(err, ErrRevoked) {
		return Revoked
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return BadCertificate
	}
	if e, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		if e.Conn != nil { // only of the first record
			return NotTLS
		}
		return Malformed
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		text := e.Error()
		for _, t := range texts {
			if strings.HasPrefix(text, t.begin) {
				return t.is
			}
		}
	}
	return Malformed
}
