package http1

import "github.com/tandemlb/tandem/proxy/http1/syntax"

// BodyKind is how the end of a body is found (RFC 9112, section 6.3).
type BodyKind uint8

// The kinds of body.
const (
	NoBody     BodyKind = iota
	Sized               // Length bytes
	Chunked             // to be decoded by a Decoder
	UntilClose          // of responses only: all that comes until the connection ends
	Tunnel              // not a body: the connection speaks another protocol from here on
)

// String returns the name of the kind.
func (k BodyKind) String() string {
	return [...]string{"none", "sized", "chunked", "until close", "tunnel"}[k]
}

// Body is what follows a head.
type Body struct {
	Kind   BodyKind
	Length int64 // in bytes, if Sized
}

// Empty reports whether it is known that no byte follows.
func (b Body) Empty() bool { return b.Kind == NoBody || b.Kind == Sized && b.Length == 0 }

// parseLength parses Content-Length = 1*DIGIT (RFC 9110, section 8.6). Leading
// zeros are refused: some read them as octal.
func parseLength(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 19 || b[0] == '0' && len(b) > 1 {
		return 0, false
	}
	var n uint64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return int64(n), n <= 1<<63-1
}

// knownCodings reports whether a Transfer-Encoding consists of registered codings
// and chunked at the end: well formed, but not implemented here (RFC 9112, section
// 6.1, asks for 501 then).
func knownCodings(list []byte) bool {
	var coding []byte
	for list != nil {
		coding, list = syntax.CutElement(list)
		switch {
		case list == nil:
			return syntax.Fold(coding, "chunked")
		case syntax.Fold(coding, "gzip"), syntax.Fold(coding, "x-gzip"), syntax.Fold(coding, "deflate"), syntax.Fold(coding, "compress"), syntax.Fold(coding, "x-compress"):
		default:
			return false
		}
	}
	return false
}

// frame finds out what follows the head of a request. Whatever could be read in
// two ways is refused, also where the RFC lets a server choose one.
func (r *Request) frame() *Error {
	const framing = 1<<ContentLength | 1<<TransferEncoding
	switch r.seen & framing {
	case 0:
		return nil
	case 1 << ContentLength:
		length, err := r.length()
		r.Body = Body{Kind: Sized, Length: length}
		return err
	}
	if err := r.coding(r.Minor); err != nil {
		return err
	}
	if r.seen.Has(ContentLength) {
		return r.fail(LengthAndCoding, int(r.fields[r.first[ContentLength]].Name.Off), "field \"Content-Length\" beside \"Transfer-Encoding\"")
	}
	r.Body = Body{Kind: Chunked}
	return nil
}

// length returns the value of Content-Length, which is there.
func (h *Head) length() (int64, *Error) {
	value := h.fields[h.first[ContentLength]].Value
	n, ok := parseLength(h.Bytes(value))
	if !ok {
		return 0, h.fail(LengthInvalid, int(value.Off), "field \"Content-Length\" is "+quote(h.Bytes(value)))
	}
	return n, nil
}

// coding judges Transfer-Encoding, which is there: it must be chunked, just once.
// HTTP/1.0 does not know it, so who sends it and who passed it on may disagree (RFC
// 9112, section 6.1).
func (h *Head) coding(minor uint8) *Error {
	value := h.fields[h.first[TransferEncoding]].Value
	reason := CodingInvalid
	switch {
	case minor == 0:
		reason = CodingInHTTP10
	case syntax.Fold(h.Bytes(value), "chunked"):
		return nil
	case knownCodings(h.Bytes(value)):
		reason = CodingUnknown
	}
	return h.fail(reason, int(value.Off), "field \"Transfer-Encoding\" is "+quote(h.Bytes(value)))
}

// frame finds out what follows the head of a response to a request of method, and
// whether the connection can carry another one (RFC 9112, section 6.3).
func (r *Response) frame() *Error {
	var length int64
	hasLength, hasCoding := r.seen.Has(ContentLength), r.seen.Has(TransferEncoding)
	if hasLength {
		var err *Error
		if length, err = r.length(); err != nil {
			return err
		}
		r.contentLength = length
	}
	if hasCoding {
		if err := r.coding(r.Minor); err != nil {
			return err
		}
		// The coding wins. Whoever sent both may be made to send more of that kind.
		r.Reusable = r.Reusable && !hasLength
	}
	// Bytes that ought not to be there make the next response on the connection
	// another's.
	claimed := length > 0 || hasCoding
	switch {
	case r.Status < 200:
		if claimed {
			return r.fail(InterimWithBody, 0, "interim response with a body")
		}
		if r.Status == 101 {
			r.Body, r.Reusable = Body{Kind: Tunnel}, false
		}
	case r.method == MethodHead || r.Status == 304:
	case r.method == MethodConnect && r.Status < 300:
		r.Body, r.Reusable = Body{Kind: Tunnel}, false
	case r.Status == 204:
		r.Reusable = r.Reusable && !claimed
	case r.Status == 205:
		// Nothing is to be forwarded of what a server may send all the same.
		r.Reusable = r.Reusable && hasLength && !claimed
	case hasCoding:
		r.Body = Body{Kind: Chunked}
	case hasLength:
		r.Body = Body{Kind: Sized, Length: length}
	default:
		r.Body, r.Reusable = Body{Kind: UntilClose}, false
	}
	return nil
}
