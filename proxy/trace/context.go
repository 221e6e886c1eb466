// Package trace is about requests that are followed through several services: the
// fields traceparent and tracestate (W3C Trace Context), the choice of the requests
// that are recorded, and what is recorded of them.
//
// It sends nothing. What it records goes from the loop that carries a request to
// whoever collects, without either waiting for the other.
package trace

import "encoding/hex"

// ID names a trace: all that is done for one request, by whichever service.
type ID [16]byte

// SpanID names a part of a trace: what one service does, or waits for. Zero is none.
type SpanID [8]byte

// Flags say what has been decided about a trace.
type Flags uint8

// The flags that are known. Others are not passed on.
const (
	Sampled Flags = 1 << iota // it is recorded
	Random                    // its ID is random
	known   = Sampled | Random
)

// Context is the place of a request in a trace: what the field traceparent says. The
// zero Context is none.
type Context struct {
	Trace ID
	Span  SpanID // in which the request is sent
	Flags Flags
}

// Valid reports whether there is such a place.
func (c Context) Valid() bool { return c.Trace != ID{} && c.Span != SpanID{} }

// The field traceparent of version 00: version, trace, span and flags.
const (
	traceAt = len("00-")
	spanAt  = traceAt + 2*len(ID{}) + 1
	flagsAt = spanAt + 2*len(SpanID{}) + 1
	size    = flagsAt + 2
)

// Parse parses the value of a field traceparent
// (https://www.w3.org/TR/trace-context/#traceparent-header). Of a version that is not
// known yet, what version 00 has is taken (section "Versioning of traceparent").
func Parse(b []byte) (Context, bool) {
	var c Context
	var version, flags [1]byte
	if len(b) < size || b[traceAt-1] != '-' || b[spanAt-1] != '-' || b[flagsAt-1] != '-' ||
		!decode(version[:], b) || !decode(c.Trace[:], b[traceAt:]) || !decode(c.Span[:], b[spanAt:]) || !decode(flags[:], b[flagsAt:]) {
		return Context{}, false
	}
	c.Flags = Flags(flags[0]) & known
	switch {
	case !c.Valid(), version[0] == 0xff, version[0] == 0 && len(b) > size, len(b) > size && b[size] != '-':
		return Context{}, false
	case version[0] > 0:
		c.Flags &= Sampled
	}
	return c, true
}

// decode fills dst from the beginning of src, which is long enough. Only lower case is
// allowed.
func decode(dst, src []byte) bool {
	for i := range dst {
		high, low := digits[src[2*i]], digits[src[2*i+1]]
		if high|low > 0xf {
			return false
		}
		dst[i] = high<<4 | low
	}
	return true
}

// digits are the values of hexadecimal digits; 0xff: it is none.
var digits = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i, c := range "0123456789abcdef" {
		t[c] = byte(i)
	}
	return t
}()

// Append appends c as the value of a field traceparent, in version 00.
func (c Context) Append(dst []byte) []byte {
	dst = hex.AppendEncode(append(dst, "00-"...), c.Trace[:])
	dst = hex.AppendEncode(append(dst, '-'), c.Span[:])
	return hex.AppendEncode(append(dst, '-'), []byte{byte(c.Flags)})
}
