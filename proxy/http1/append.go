package http1

import (
	"bytes"
	"strconv"

	"github.com/tandemlb/tandem/proxy/http1/syntax"
)

// Addition is a field to add to a head. The name must be a token. A value with a
// control character is refused: one that came from a client or a config must not end
// the line (response splitting). So is a name that frames the message, that concerns
// one connection, or Host, also if it is spelt with underscores, for servers that
// cannot tell those from dashes.
type Addition struct {
	Name  string
	Value []byte
}

// Edit says how the head that is forwarded differs from the one that came. The
// zero value changes nothing but what every proxy must: the fields that concern one
// connection go, the framing is written anew. It may be reused; what it refers to
// is only read.
type Edit struct {
	Target []byte // of a request instead of its own, if not nil
	Host   []byte // of a request instead of its own, if not nil
	Drop   Set    // fields that are not forwarded
	// DropNames are names, in lower case, of further fields that are not forwarded. To
	// set a field is to drop and to add it. What frames the message, Host, and what
	// concerns one connection is written anew whether it is named here or not; fields
	// that Connection lists are gone already. Trailers are not changed.
	DropNames []string
	Lines     []byte     // of fields behind those that are, each with its CRLF; none frames the message, for which the caller vouches
	Add       []Addition // fields behind these

	Reframe bool // the body is sent as Body, not as it came
	Body    Body

	Close     bool   // Connection: close
	KeepAlive bool   // Connection: keep-alive, for a client of HTTP/1.0 that asked
	Upgrade   []byte // the protocol that is offered, or changed to, if not nil
	Trailers  bool   // of a request: TE: trailers
}

// AppendHead appends the head of r as a server is to get it, changed by e: HTTP/1.1,
// the target in origin-form, Host in its old place or else at the front (empty, if a
// client of HTTP/1.0 named no host), the other fields in their old order and case
// (RFC 9110, section 5.3). An error is an *Error of reason UnsafeEdit, and dst is
// returned as it was.
func (r *Request) AppendHead(dst []byte, e *Edit) ([]byte, error) {
	if err := e.check(); err != nil {
		return dst, err
	}
	dst = append(append(dst, r.MethodText()...), ' ')
	if e.Target != nil {
		dst = append(dst, e.Target...)
	} else {
		dst = r.AppendTarget(dst)
	}
	dst = append(dst, " HTTP/1.1\r\n"...)

	host := e.Host
	if host == nil {
		host = r.Authority()
	}
	if r.seen.Has(Host) {
		at := int(r.first[Host])
		dst = r.appendRange(dst, 0, at, e)
		dst = append(append(dst, r.Bytes(r.fields[at].Name)...), ": "...)
		dst = append(append(dst, host...), "\r\n"...)
		dst = r.appendRange(dst, at+1, len(r.fields), e)
	} else {
		dst = append(append(append(dst, "Host: "...), host...), "\r\n"...)
		dst = r.appendRange(dst, 0, len(r.fields), e)
	}
	body := r.Body
	if e.Reframe {
		body = e.Body
	}
	return r.appendEnd(dst, e, body), nil
}

// AppendHead appends the head of r as the client is to get it, changed by e. The
// framing is that of BodyForClient unless e says otherwise. An error is an *Error
// of reason UnsafeEdit, and dst is returned as it was.
func (r *Response) AppendHead(dst []byte, e *Edit) ([]byte, error) {
	if err := e.check(); err != nil {
		return dst, err
	}
	if line := r.buf[:r.reason.end()]; r.reason.Len > 0 && line[len("HTTP/1.")] == '1' {
		dst = append(append(dst, line...), "\r\n"...)
	} else {
		dst = appendStatus(dst, r.Status, r.ReasonPhrase())
	}
	dst = r.appendRange(dst, 0, len(r.fields), e)
	body := r.BodyForClient()
	switch {
	case e.Reframe:
		body = e.Body
	case r.Status == 205:
		body = Body{Kind: Sized} // RFC 9110, section 15.3.6
	case body.Kind == NoBody && r.Status >= 200 && r.Status != 204 && r.contentLength >= 0 && !r.seen.Has(TransferEncoding):
		body = Body{Kind: Sized, Length: r.contentLength} // what a GET would get
	}
	return r.appendEnd(dst, e, body), nil
}

// appendStatus appends a status line. The space belongs there even if nothing
// follows.
func appendStatus[T string | []byte](dst []byte, status int, reason T) []byte {
	dst = strconv.AppendInt(append(dst, "HTTP/1.1 "...), int64(status), 10)
	dst = append(append(dst, ' '), reason...)
	return append(dst, "\r\n"...)
}

// appendRange appends those of fields[from:to] that are to be forwarded. Fields that
// follow each other and are written as we write them are copied at once.
func (h *Head) appendRange(dst []byte, from, to int, e *Edit) []byte {
	drop, names := (e.Drop|rebuilt)&^(1<<Unknown), e.DropNames
	start, end := 0, 0 // of a run of lines, but for its last CRLF
	for i := from; i < to; i++ {
		f := &h.fields[i]
		if f.Flags != 0 || drop.Has(f.Known) || len(names) > 0 && named(names, h.Bytes(f.Name)) {
			continue
		}
		plain := int(f.Value.Off) == f.Name.end()+2 && h.buf[f.Name.end()+1] == ' '
		if plain && end > 0 && int(f.Name.Off) == end+2 {
			end = f.Value.end()
			continue
		}
		if end > 0 {
			dst = append(append(dst, h.buf[start:end]...), "\r\n"...)
		}
		start, end = int(f.Name.Off), f.Value.end()
		if !plain {
			dst = append(append(dst, h.Bytes(f.Name)...), ": "...)
			start = int(f.Value.Off)
		}
	}
	if end > 0 {
		dst = append(append(dst, h.buf[start:end]...), "\r\n"...)
	}
	return dst
}

// named reports whether names, which are in lower case, have name in any case.
func named(names []string, name []byte) bool {
	for _, n := range names {
		if syntax.EqualFold(name, n) {
			return true
		}
	}
	return false
}

// appendEnd appends what we add to the fields, and the end of the head.
func (h *Head) appendEnd(dst []byte, e *Edit, body Body) []byte {
	dst = append(dst, e.Lines...)
	for i := range e.Add {
		a := &e.Add[i]
		dst = append(append(append(append(dst, a.Name...), ": "...), a.Value...), "\r\n"...)
	}
	switch body.Kind {
	case Sized:
		dst = strconv.AppendInt(append(dst, "Content-Length: "...), body.Length, 10)
		dst = append(dst, "\r\n"...)
	case Chunked:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
		dst = h.appendTrailer(dst)
	}
	if e.Trailers {
		dst = append(dst, "TE: trailers\r\n"...)
	}
	if e.Upgrade != nil {
		dst = append(append(append(dst, "Upgrade: "...), e.Upgrade...), "\r\n"...)
	}
	return append(e.appendConnection(dst, body), "\r\n"...)
}

// appendConnection appends the field Connection, if it says anything.
func (e *Edit) appendConnection(dst []byte, body Body) []byte {
	before := len(dst)
	sep := "Connection: "
	if e.Close || body.Kind == UntilClose {
		dst, sep = append(append(dst, sep...), "close"...), ", "
	} else if e.KeepAlive {
		dst, sep = append(append(dst, sep...), "keep-alive"...), ", "
	}
	if e.Upgrade != nil {
		dst, sep = append(append(dst, sep...), "upgrade"...), ", "
	}
	if e.Trailers {
		dst = append(append(dst, sep...), "TE"...)
	}
	if len(dst) == before {
		return dst
	}
	return append(dst, "\r\n"...)
}

// appendTrailer appends the field Trailer, without the names of fields that would
// be dropped.
func (h *Head) appendTrailer(dst []byte) []byte {
	if !h.seen.Has(Trailer) {
		return dst
	}
	before := len(dst)
	sep := "Trailer: "
	for _, f := range h.fields {
		if f.Known != Trailer {
			continue
		}
		for list := h.Bytes(f.Value); list != nil; {
			var name []byte
			name, list = syntax.CutElement(list)
			k := KnownName(name)
			if !isToken(name) || notInTrailers.Has(k) || h.named.Has(k) || k == Unknown && (h.lists(name) || knownAlias(name) != Unknown) {
				continue
			}
			dst = append(append(dst, sep...), name...)
			sep = ", "
		}
	}
	if len(dst) == before {
		return dst
	}
	return append(dst, "\r\n"...)
}

func isToken(b []byte) bool {
	for i := range len(b) {
		if classes[b[i]]&classToken == 0 {
			return false
		}
	}
	return len(b) > 0
}

// check refuses what would not stay in its place.
func (e *Edit) check() error {
	for i := 0; i < len(e.Target); i++ {
		if classes[e.Target[i]]&classQuery == 0 {
			return refuse("target", e.Target)
		}
	}
	if e.Target != nil && len(e.Target) == 0 {
		return refuse("target", e.Target)
	}
	if _, _, _, ok := parseAuthority(e.Host); !ok {
		return refuse("value of field \"Host\"", e.Host)
	}
	if e.Upgrade != nil && !protocol(e.Upgrade) {
		return refuse("value of field \"Upgrade\"", e.Upgrade)
	}
	if !areLines(e.Lines) {
		return refuse("field lines", e.Lines)
	}
	return checkAdditions(e.Add)
}

// areLines reports whether b is field lines, each with its end.
func areLines(b []byte) bool {
	for len(b) > 0 {
		end := syntax.FirstControl(b)
		for end < len(b) && b[end] == '\t' {
			end += 1 + syntax.FirstControl(b[end+1:])
		}
		if end+1 >= len(b) || b[end] != '\r' || b[end+1] != '\n' || classes[b[0]]&classToken == 0 || bytes.IndexByte(b[:end], ':') < 0 {
			return false
		}
		b = b[end+2:]
	}
	return true
}

func checkAdditions(all []Addition) error {
	for i := range all {
		a := &all[i]
		if !mayAdd(a.Name) {
			return refuse("field name", []byte(a.Name))
		}
		if !isFieldValue(a.Value) {
			return refuse("value of field "+strconv.Quote(a.Name), a.Value)
		}
	}
	return nil
}

// mayAdd reports whether name is a token, and not of what is ours to write.
func mayAdd(name string) bool {
	class := uint8(0)
	for i := range len(name) {
		class |= classes[name[i]] ^ classToken
	}
	if len(name) == 0 || class&classToken != 0 || rebuilt.Has(KnownName(name)) {
		return false
	}
	return class&classUnderscore == 0 || !rebuilt.Has(knownAlias(name))
}

// isFieldValue reports whether b is field-content, or empty (RFC 9110, section 5.5).
func isFieldValue(b []byte) bool {
	for {
		i := syntax.FirstControl(b)
		if i == len(b) {
			return true
		}
		if b[i] != '\t' {
			return false
		}
		b = b[i+1:]
	}
}

func refuse(what string, b []byte) error {
	at := bytes.IndexFunc(b, func(r rune) bool { return r < ' ' || r == 0x7f })
	return errorAt(false, UnsafeEdit, max(at, 0), what+" to be written is "+quote(b))
}
