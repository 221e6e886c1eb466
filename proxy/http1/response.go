package http1

import "github.com/tandemlb/tandem/proxy/http1/syntax"

// Response is the head of a response. Reset tells it the request, without which the
// end of the body is not known; the zero value is ready for the response to a GET.
// It belongs to one goroutine at a time.
type Response struct {
	Head

	Status   int // 100 to 999
	Minor    uint8
	Body     Body // what follows the head
	Reusable bool // the connection can carry another request once the body has been read

	reason        Span
	upgrade       Span
	contentLength int64 // Content-Length, -1 if absent

	method  Method // of the request
	client  uint8  // minor version of the client
	interim int    // responses before this one to the same request
	bytes   int    // of their heads
}

// Reset makes r ready for the responses to req.
func (r *Response) Reset(req *Request) { r.ResetFor(req.Method, req.Minor) }

// ResetFor makes r ready for the responses to a request of method m, made by a
// client of version HTTP/1.minor.
func (r *Response) ResetFor(m Method, minor uint8) {
	r.start(ofResponse) // piece by piece: a Head is large to copy
	r.Status, r.Minor, r.Body, r.Reusable = 0, 0, Body{}, false
	r.reason, r.upgrade, r.contentLength = Span{}, Span{}, -1
	r.method, r.client, r.interim, r.bytes = m, minor, 0, 0
}

// Parse parses the head of a response at the start of buf, as Request.Parse does.
// After an interim response it goes on with the next one to the same request. The
// Status of its errors is 502.
func (r *Response) Parse(buf []byte, lim *Limits) (n int, err error) {
	switch {
	case r.kind != ofResponse:
		r.ResetFor(MethodGet, 1)
	case r.stage == complete:
		r.next()
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
	if r.Interim() {
		r.interim++
		r.bytes += r.lines.line
	}
	return r.lines.line, nil
}

// next makes r ready for the response behind an interim one.
func (r *Response) next() {
	interim, bytes := r.interim, r.bytes
	r.ResetFor(r.method, r.client)
	r.interim, r.bytes = interim, bytes
}

func (r *Response) parse(buf []byte, lim *Limits) (done bool, _ *Error) {
	most := lim.Header - r.bytes
	if r.stage == beforeStart {
		end, reason, over := r.lines.next(buf, lim.Line, most)
		switch {
		case reason != "":
			return false, r.fail(reason, end, "status line "+quote(buf[:end+1]))
		case over != 0:
			return false, r.fail(StatusTooLong, end, "status line "+quote(buf[:end])+" exceeds its limit")
		case end < 0:
			return false, nil
		}
		if err := r.parseLine(buf, end); err != nil {
			return false, err
		}
		if r.Interim() && r.interim >= lim.Interim {
			return false, r.fail(TooManyInterim, 0, "more interim responses than their limit")
		}
		r.stage = inFields
		r.lines.advance(end)
	}
	if done, err := r.readFields(buf, lim, most); !done || err != nil {
		return false, err
	}
	if err := r.readConnection(); err != nil {
		return false, err
	}
	r.Reusable = !r.close && (r.Minor > 0 || r.keepAlive)
	r.upgrade = r.findUpgrade()
	return true, r.frame()
}

// parseLine parses HTTP-version SP status-code SP [ reason-phrase ] (RFC 9112,
// section 4). The space before a reason that is absent is absent in practice too.
func (r *Response) parseLine(buf []byte, end int) *Error {
	const least = len("HTTP/1.1 200")
	line := buf[:end]
	if end < least || end > least && line[least] != ' ' {
		return r.fail(StatusInvalid, 0, "status line "+quote(line))
	}
	major, minor, ok := version(line[:len("HTTP/1.1")])
	if !ok || major != 1 || line[8] != ' ' {
		return r.fail(VersionInvalid, 0, "version in status line "+quote(line))
	}
	r.Minor = min(minor, 1)
	for _, c := range line[9:least] {
		if c < '0' || c > '9' {
			return r.fail(StatusInvalid, 9, "status in status line "+quote(line))
		}
		r.Status = r.Status*10 + int(c-'0')
	}
	if r.Status < 100 {
		return r.fail(StatusInvalid, 9, "status in status line "+quote(line))
	}
	r.reason = span(min(least+1, end), end)
	return nil
}

// Interim reports whether another response to the same request follows (RFC 9110,
// section 15.2).
func (r *Response) Interim() bool { return r.Status < 200 && r.Status != 101 }

// ReasonPhrase returns the text behind the status.
func (r *Response) ReasonPhrase() []byte { return r.Bytes(r.reason) }

// SwitchesTo reports whether r is a valid 101 (Switching Protocols) to the protocol
// that was offered.
func (r *Response) SwitchesTo(offered []byte) bool {
	return r.Status == 101 && len(offered) > 0 && syntax.EqualFold(offered, r.Bytes(r.upgrade))
}

// BodyForClient returns how the body of r is to be sent on to the client: in
// chunks if it has no length that is known, or up to the end of the connection to a
// client of HTTP/1.0, which does not know chunks.
func (r *Response) BodyForClient() Body {
	switch {
	case r.client == 0 && r.Body.Kind == Chunked:
		return Body{Kind: UntilClose}
	case r.client > 0 && r.Body.Kind == UntilClose:
		return Body{Kind: Chunked}
	}
	return r.Body
}
