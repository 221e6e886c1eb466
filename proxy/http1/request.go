package http1

import (
	"bytes"
	"strconv"

	"github.com/tandemlb/tandem/proxy/http1/syntax"
)

// Method is a request method. MethodOther is any that has no constant.
type Method uint8

// The methods of RFC 9110, section 9.3, and PATCH.
const (
	MethodOther Method = iota
	MethodGet
	MethodHead
	MethodPost
	MethodPut
	MethodDelete
	MethodOptions
	MethodPatch
	MethodTrace
	MethodConnect
)

// Safe reports whether the client asks for no change (RFC 9110, section 9.2.1).
func (m Method) Safe() bool {
	return m == MethodGet || m == MethodHead || m == MethodOptions || m == MethodTrace
}

// Idempotent reports whether to do it twice is to do it once (RFC 9110, section
// 9.2.2).
func (m Method) Idempotent() bool { return m.Safe() || m == MethodPut || m == MethodDelete }

// methodOf knows methods in upper case: case matters.
func methodOf(b []byte) Method {
	switch string(b) {
	case "GET":
		return MethodGet
	case "HEAD":
		return MethodHead
	case "POST":
		return MethodPost
	case "PUT":
		return MethodPut
	case "DELETE":
		return MethodDelete
	case "OPTIONS":
		return MethodOptions
	case "PATCH":
		return MethodPatch
	case "TRACE":
		return MethodTrace
	case "CONNECT":
		return MethodConnect
	}
	return MethodOther
}

// Request is the head of a request. The zero value is ready for Parse. It belongs
// to one goroutine at a time.
type Request struct {
	Head

	Method Method
	Form   Form
	Minor  uint8 // of the version, HTTP/1.0 or 1.1; higher ones are 1.1
	Body   Body  // what follows the head

	KeepAlive      bool // the client will send another request on this connection if it may
	ExpectContinue bool // the client waits for 100 (Continue) before it sends the body
	TakesTrailers  bool // the client asked for trailers: TE: trailers

	method  Span
	target  target
	host    authority
	upgrade Span
	lowered []byte // memory for host
	empty   uint8  // lines before the request line
}

// Reset forgets what was parsed, in full or in part, but keeps its memory.
func (r *Request) Reset() {
	r.start(ofRequest) // piece by piece: a Head is large to copy
	r.Method, r.Form, r.Minor, r.Body = 0, 0, 0, Body{}
	r.KeepAlive, r.ExpectContinue, r.TakesTrailers = false, false, false
	r.method, r.target, r.host, r.upgrade, r.empty = Span{}, target{}, authority{port: -1}, Span{}, 0
}

// Parse parses the head of a request at the start of buf. While it is incomplete, n
// is 0, and Parse is to be called with the same bytes and more behind them, in the
// same or another buffer. At last n is the length of the head, with the empty lines
// that may come before it. An error is an *Error, and nothing but the parts that
// an access log wants may be used then: Method, MethodText and RawTarget. The next
// Parse after the end or an error begins another request.
func (r *Request) Parse(buf []byte, lim *Limits) (n int, err error) {
	if r.stage == complete || r.lines.seen == 0 {
		r.Reset()
	}
	done, e := r.parse(buf, lim)
	if e != nil {
		r.stage, r.buf = complete, buf
		return 0, e
	}
	if !done {
		return 0, nil
	}
	r.stage = complete
	return r.lines.line, nil
}

func (r *Request) parse(buf []byte, lim *Limits) (done bool, _ *Error) {
	for r.stage == beforeStart {
		end, reason, over := r.lines.next(buf, lim.Line, lim.Header)
		start := r.lines.line
		switch {
		case reason != "":
			return false, r.fail(reason, end, "request line "+quote(buf[start:end+1]))
		case over != 0:
			return false, r.fail(RequestLineTooLong, end, "request line "+quote(buf[start:end])+" exceeds its limit")
		case end < 0:
			return false, nil
		case end == start:
			if r.empty++; r.empty > maxEmptyLines {
				return false, r.fail(EmptyLines, start, strconv.Itoa(int(r.empty))+" empty lines before a request")
			}
		default:
			if err := r.parseLine(buf, start, end, lim.Method); err != nil {
				return false, err
			}
			r.stage = inFields
		}
		r.lines.advance(end)
	}
	if done, err := r.readFields(buf, lim, lim.Header); !done || err != nil {
		return false, err
	}
	if err := r.readConnection(); err != nil {
		return false, err
	}
	if err := r.resolveHost(); err != nil {
		return false, err
	}
	if err := r.frame(); err != nil {
		return false, err
	}
	return true, r.readIntentions()
}

// parseLine parses method SP request-target SP HTTP-version (RFC 9112, section 3).
func (r *Request) parseLine(buf []byte, start, end, longest int) *Error {
	i := start
	for i < end && classes[buf[i]]&classToken != 0 {
		i++
	}
	line := buf[start:end]
	r.method = span(start, i)
	switch {
	case i == start || i < end && buf[i] != ' ':
		return r.fail(MethodInvalid, i, "method in request line "+quote(line))
	case i-start > longest:
		return r.fail(MethodTooLong, start, "method "+quote(buf[start:i])+" exceeds its limit")
	case i == end:
		return r.fail(RequestLineInvalid, i, "no target in request line "+quote(line))
	}
	r.Method = methodOf(buf[start:i])
	from := i + 1
	space := bytes.IndexByte(buf[from:end], ' ')
	if space <= 0 {
		return r.fail(RequestLineInvalid, from, "no target and version in request line "+quote(line))
	}
	to := from + space
	if reason := r.parseVersion(buf[to+1 : end]); reason != "" {
		return r.fail(reason, to+1, "version in request line "+quote(line))
	}
	return r.parseTarget(buf, from, to)
}

// parseVersion parses HTTP-version (RFC 9112, section 2.3), which has no spare
// character. A later minor version is treated as 1.1, the highest that is known
// (RFC 9110, section 2.5).
func (r *Request) parseVersion(b []byte) Reason {
	major, minor, ok := version(b)
	switch {
	case !ok || major == 0:
		return VersionInvalid
	case major > 1:
		return VersionUnsupported
	}
	r.Minor = min(minor, 1)
	return ""
}

func version(b []byte) (major, minor uint8, ok bool) {
	if len(b) != len("HTTP/1.1") || string(b[:5]) != "HTTP/" || b[6] != '.' {
		return 0, 0, false
	}
	major, minor = b[5]-'0', b[7]-'0'
	return major, minor, major <= 9 && minor <= 9
}

// readIntentions finds out what the client wants beside an answer.
func (r *Request) readIntentions() *Error {
	r.KeepAlive = !r.close && (r.Minor > 0 || r.keepAlive)
	r.TakesTrailers = r.hasElement(TE, "trailers")
	if r.upgrade = r.findUpgrade(); r.Minor == 0 {
		r.upgrade = Span{}
	}
	if !r.seen.Has(Expect) {
		return nil
	}
	for i := range r.fields {
		f := &r.fields[i]
		switch {
		case f.Known != Expect:
		case r.Minor == 0:
			// An old proxy let it through; nobody waits (RFC 9110, section 10.1.1).
			f.Flags |= HopByHop
		case !syntax.Fold(r.Bytes(f.Value), "100-continue"):
			return r.fail(UnknownExpect, int(f.Value.Off), "expectation "+quote(r.Bytes(f.Value)))
		default:
			r.ExpectContinue = !r.Body.Empty()
		}
	}
	return nil
}

// findUpgrade returns the protocol that Upgrade names first, if Connection lists
// Upgrade. That is where nobody listens who did not mean to: an Upgrade that was
// forwarded blindly says nothing. Upgrades to h2c are not for a proxy to pass on
// (RFC 9113, section 3.1).
func (h *Head) findUpgrade() Span {
	if !h.upgrade || !h.seen.Has(Upgrade) {
		return Span{}
	}
	value := h.fields[h.first[Upgrade]].Value
	token, rest := syntax.CutElement(h.Bytes(value))
	for syntax.Fold(token, "h2c") && rest != nil {
		token, rest = syntax.CutElement(rest)
	}
	if syntax.Fold(token, "h2c") || !protocol(token) {
		return Span{}
	}
	from := int(value.Off) + bytes.Index(h.Bytes(value), token)
	return span(from, from+len(token))
}

// protocol reports whether b is the name of a protocol with or without a version
// (RFC 9110, section 7.8).
func protocol(b []byte) bool {
	slashes := 0
	for i, c := range b {
		switch {
		case c == '/' && i > 0 && i < len(b)-1:
			slashes++
		case classes[c]&classToken == 0:
			return false
		}
	}
	return len(b) > 0 && slashes <= 1
}

// MethodText returns the method as it was sent.
func (r *Request) MethodText() []byte { return r.Bytes(r.method) }

// UpgradeTo returns the protocol that the client offers to change to, like
// websocket in any case. It is empty if there is no valid offer.
func (r *Request) UpgradeTo() []byte { return r.Bytes(r.upgrade) }
