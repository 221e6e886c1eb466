// Package clienthello reads what a client of TLS asks for from the first bytes of its
// connection, without taking part in the handshake: they are in the clear (RFC 8446,
// section 4.1.2). With Encrypted Client Hello it sees the public name alone.
package clienthello

import (
	"fmt"
	"strings"
)

// MaxSize is how many bytes a hello may take, with the headers of its records. Those of
// today take 2 KB, where the key of a post-quantum exchange is in it.
const MaxSize = 16 << 10

// Hello is what a client asks for.
type Hello struct {
	// ServerName is the name of the server (SNI, RFC 6066, section 3) in lower case;
	// empty when there is none.
	ServerName string
	// Protocols are those that the client would speak (ALPN, RFC 7301), the best first.
	Protocols []string
}

// Reason says in a word why something is no hello, to be counted by.
type Reason string

// The reasons.
const (
	NotTLS    Reason = "not_tls"   // another protocol, or another message
	Malformed Reason = "malformed" // lengths that contradict each other, or what must not be
	TooLong   Reason = "too_long"  // beyond MaxSize
)

// Error is the error of what is no hello.
type Error struct {
	Reason Reason
	text   string
}

func (e *Error) Error() string { return "TLS hello: " + e.text }

func malformed(format string, a ...any) error {
	return &Error{Malformed, fmt.Sprintf(format, a...)}
}

// Parse reads the hello that b begins with; whatever follows is not looked at. When b may
// be the beginning of one, complete is false, without an error. Every error is an
// *[Error].
func Parse(b []byte) (h Hello, complete bool, err error) {
	message, complete, err := join(b)
	if err != nil || !complete {
		return Hello{}, false, err
	}
	h, err = parse(message)
	return h, err == nil, err
}

// parse reads the body of the message.
func parse(b []byte) (h Hello, err error) {
	r := reader{b}
	r.skip(2 + 32) // the version of old, and something random
	if session := r.take(r.number(1)); len(session) > 32 {
		return Hello{}, malformed("a session of %d bytes; at most 32 are allowed", len(session))
	}
	if suites := r.take(r.number(2)); len(suites) == 0 || len(suites)%2 != 0 {
		return Hello{}, malformed("the cipher suites take %d bytes", len(suites))
	}
	if methods := r.take(r.number(1)); len(methods) == 0 {
		return Hello{}, malformed("no method of compression")
	}
	if r.b != nil && len(r.b) == 0 {
		return Hello{}, nil // without extensions, as before TLS 1.3
	}
	extensions := reader{r.take(r.number(2))}
	if r.b == nil || len(r.b) > 0 {
		return Hello{}, malformed("the message does not end where its parts do")
	}
	if err := h.extensions(extensions); err != nil {
		return Hello{}, err
	}
	return h, nil
}

// The extensions that are looked at; the others are the server's business.
const (
	serverName = 0
	alpn       = 16
)

func (h *Hello) extensions(r reader) error {
	var seen [alpn + 1]bool
	for r.more() {
		kind := r.number(2)
		value := r.take(r.number(2))
		if r.b == nil {
			return malformed("an extension exceeds the others")
		}
		if kind != serverName && kind != alpn {
			continue
		}
		if seen[kind] {
			return malformed("extension %d comes twice", kind)
		}
		seen[kind] = true
		var err error
		if kind == serverName {
			h.ServerName, err = parseName(value)
		} else {
			h.Protocols, err = parseProtocols(value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func parseName(b []byte) (name string, err error) {
	r := reader{b}
	list := reader{r.take(r.number(2))}
	if r.b == nil || len(r.b) > 0 || len(list.b) == 0 {
		return "", malformed("the list of server names is empty, or does not fill its extension")
	}
	for list.more() {
		kind := list.number(1)
		value := list.take(list.number(2))
		switch {
		case list.b == nil || len(value) == 0:
			return "", malformed("a server name is empty, or exceeds its list")
		case kind != 0: // no host name; there is no other kind yet
		case name != "":
			return "", malformed("more than one host name")
		case !proper(value):
			return "", malformed("%q is no host name", value)
		default:
			name = strings.ToLower(string(value))
		}
	}
	return name, nil
}

// proper reports whether b can be a host name, as far as that keeps it out of trouble
// with routes and logs: visible ASCII, without the dot of the root.
func proper(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return len(b) <= 255 && b[len(b)-1] != '.'
}

func parseProtocols(b []byte) (all []string, err error) {
	r := reader{b}
	list := reader{r.take(r.number(2))}
	if r.b == nil || len(r.b) > 0 || len(list.b) == 0 {
		return nil, malformed("the list of protocols is empty, or does not fill its extension")
	}
	for list.more() {
		p := list.take(list.number(1))
		if len(p) == 0 {
			return nil, malformed("a protocol is empty, or exceeds its list")
		}
		all = append(all, string(p))
	}
	return all, nil
}
