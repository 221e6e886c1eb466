package dial

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
)

// HandshakeError says that a connection was made, and that TLS on it was not. It wraps
// what crypto/tls says.
type HandshakeError struct{ Err error }

func (e *HandshakeError) Error() string { return e.Err.Error() }

func (e *HandshakeError) Unwrap() error { return e.Err }

// Rejected reports whether err is an alert of the server, by which it ends TLS. With
// TLS 1.3 a server looks at the certificate that it is shown, and at much else, when
// this side has finished its handshake already: what it does not like, a read tells.
func Rejected(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error"
}

// Evidence shortens a connect's error to what is not known from the context.
func Evidence(err error) string {
	if h, ok := errors.AsType[*HandshakeError](err); ok {
		return "TLS: " + shorten(ofTLS(h.Err))
	}
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return "connect: no answer in time"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err.Error() // "connect: connection refused"
	}
	return "connect: " + err.Error()
}

// ofTLS says why a handshake failed.
func ofTLS(err error) string {
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return strings.TrimPrefix(e.Err.Error(), "x509: ")
	}
	if e, ok := errors.AsType[tls.RecordHeaderError](err); ok && e.Conn != nil { // of the first record
		return "what the server answers is not TLS"
	}
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return "no answer in time"
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the server has closed the connection"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		switch op.Op {
		case "remote error":
			return "the server refuses: " + strings.TrimPrefix(op.Err.Error(), "tls: ")
		case "local error":
			return strings.TrimPrefix(op.Err.Error(), "tls: ")
		}
		if sys, ok := errors.AsType[*os.SyscallError](op.Err); ok {
			return sys.Err.Error() // "connection reset by peer"
		}
	}
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "TLS handshake: "), "tls: ")
}

// longest is how long an evidence may be: a certificate may have many names.
const longest = 160

func shorten(s string) string {
	if len(s) <= longest {
		return s
	}
	return strings.ToValidUTF8(s[:longest-3], "") + "..."
}
