package http1

import "github.com/tandemlb/tandem/proxy/http1/syntax"

// Span is a part of the buffer that a message was parsed from.
type Span struct{ Off, Len uint32 }

func span(from, to int) Span { return Span{uint32(from), uint32(to - from)} }

func (s Span) end() int { return int(s.Off) + int(s.Len) }

// Flags say why a field is not to be forwarded. Without any, it is.
type Flags uint8

// The flags of a field.
const (
	// HopByHop fields are those that concern only this connection, by their name
	// or because Connection lists them (RFC 9110, section 7.6.1), and in trailers
	// those that do not belong there (section 6.5.1).
	HopByHop Flags = 1 << iota
	// Alias fields are called like a known one, but with underscores for dashes:
	// Content_Length is Content-Length to a server that speaks CGI.
	Alias
	// Repeated fields say again what must be said once (in responses).
	Repeated
	// Dropped is for the caller to set, by Fields, on what its policy keeps back.
	Dropped
)

// Field is a field of a head or of trailers. Name and Value are parts of the buffer.
type Field struct {
	Name  Span
	Value Span // without the white space around it
	Known Known
	Flags Flags
}

// Head is what a Request and a Response have in common: their fields, in the order
// in which they came.
type Head struct {
	fields []Field
	buf    []byte
	lines  cursor
	stage  stage
	kind   kind
	seen   Set                 // known fields that are there
	first  [knownFields]uint16 // where in fields; of those in seen

	// What Connection lists.
	close, keepAlive, upgrade bool
	named                     Set    // known fields
	listed                    []byte // other fields, a comma behind each
}

// stage is how far a head is parsed.
type stage uint8

const (
	beforeStart stage = iota
	inFields
	complete // or refused
)

// kind is whose fields these are.
type kind uint8

const (
	ofRequest kind = iota
	ofResponse
	ofTrailers         // of a request
	ofResponseTrailers // of a response
)

func (k kind) response() bool { return k == ofResponse || k == ofResponseTrailers }

// Len returns the length of the head in bytes, with its line ends.
func (h *Head) Len() int { return h.lines.line }

// Fields returns all fields, also those that are not forwarded. They are valid
// until the next Parse.
func (h *Head) Fields() []Field { return h.fields }

// Bytes returns the part s of the buffer.
func (h *Head) Bytes(s Span) []byte { return h.buf[s.Off:s.end():s.end()] }

// Has reports whether the head has a field k, of whatever flags.
func (h *Head) Has(k Known) bool { return h.seen.Has(k) }

// Header returns the value of the first field k, of whatever flags. It is nil if
// there is none, and of no length if it is empty.
func (h *Head) Header(k Known) []byte {
	if !h.seen.Has(k) {
		return nil
	}
	return h.Bytes(h.fields[h.first[k]].Value)
}

// Lookup returns the value of the first field that is called name, in any case.
// Fields that are not forwarded count as absent.
func (h *Head) Lookup(name string) ([]byte, bool) {
	for _, f := range h.fields {
		if f.Flags == 0 && syntax.EqualFold(h.Bytes(f.Name), name) {
			return h.Bytes(f.Value), true
		}
	}
	return nil, false
}

// Field returns the value of the i-th field that is called name, in any case,
// counted from 0. Unlike Lookup it also finds what concerns this connection, like
// Upgrade; but neither a field that Connection lists nor one that another policy
// keeps back, since the server will not get it: a decision must not rest on it.
func (h *Head) Field(name string, i int) ([]byte, bool) {
	for _, f := range h.fields {
		if f.Flags != 0 && (f.Flags != HopByHop || !hopByHop.Has(f.Known)) || !syntax.EqualFold(h.Bytes(f.Name), name) {
			continue
		}
		if i == 0 {
			return h.Bytes(f.Value), true
		}
		i--
	}
	return nil, false
}

// start makes h ready for the head of a message.
func (h *Head) start(k kind) {
	h.fields, h.listed, h.buf = h.fields[:0], h.listed[:0], nil
	h.lines, h.stage, h.kind = cursor{}, beforeStart, k
	h.seen, h.named = 0, 0
	h.close, h.keepAlive, h.upgrade = false, false, false
}

// fail makes the error of the part of the head at offset.
func (h *Head) fail(reason Reason, offset int, detail string) *Error {
	return errorAt(h.kind.response(), reason, offset, detail)
}

// readFields reads lines up to the empty one, which is the end of the head.
func (h *Head) readFields(buf []byte, lim *Limits, most int) (done bool, _ *Error) {
	for {
		end, reason, over := h.lines.next(buf, lim.Line, most)
		start := h.lines.line
		switch {
		case reason != "":
			return false, h.fail(reason, end, "field line "+quote(buf[start:end+1]))
		case over == headTooLong && h.kind >= ofTrailers:
			return false, h.fail(TrailersTooLarge, end, "head and trailers exceed their limit")
		case over == headTooLong:
			return false, h.fail(HeadTooLarge, end, "head exceeds its limit")
		case over == lineTooLong:
			return false, h.fail(FieldTooLong, end, "field line "+quote(buf[start:end])+" exceeds its limit")
		case end < 0:
			return false, nil
		}
		h.lines.advance(end)
		if end == start {
			h.buf = buf[:h.lines.line:h.lines.line]
			return true, nil
		}
		if err := h.addField(buf, start, end, lim.Fields); err != nil {
			return false, err
		}
	}
}

// addField parses the line of a field (RFC 9112, section 5).
func (h *Head) addField(buf []byte, start, end, most int) *Error {
	if buf[start] == ' ' || buf[start] == '\t' {
		return h.fail(FoldedField, start, "white space at the start of field line "+quote(buf[start:end]))
	}
	if len(h.fields) == most {
		return h.fail(TooManyFields, start, "more fields than their limit")
	}
	i, class := start, uint8(0)
	for i < end && classes[buf[i]]&classToken != 0 {
		class |= classes[buf[i]]
		i++
	}
	name := span(start, i)
	// A proxy must refuse a request with white space here, and remove it from a
	// response (RFC 9112, section 5.1).
	if name.Len > 0 && i < end && (buf[i] == ' ' || buf[i] == '\t') {
		if !h.kind.response() {
			return h.fail(SpaceBeforeColon, i, "white space behind field name "+quote(buf[start:i]))
		}
		for i < end && (buf[i] == ' ' || buf[i] == '\t') {
			i++
		}
	}
	if i == end || buf[i] != ':' || name.Len == 0 {
		return h.fail(FieldNameInvalid, i, "no field name and colon in "+quote(buf[start:end]))
	}
	i++
	for i < end && (buf[i] == ' ' || buf[i] == '\t') {
		i++
	}
	for end > i && (buf[end-1] == ' ' || buf[end-1] == '\t') {
		end--
	}
	f := Field{Name: name, Value: span(i, end), Known: KnownName(buf[start:name.end()])}
	if class&classUnderscore != 0 && knownAlias(buf[start:name.end()]) != Unknown {
		f.Flags |= Alias
	}
	if err := h.repeats(&f, buf); err != nil {
		return err
	}
	if f.Known != Unknown && !h.seen.Has(f.Known) {
		h.seen |= 1 << f.Known
		h.first[f.Known] = uint16(len(h.fields))
	}
	h.fields = append(h.fields, f)
	return nil
}

// repeats judges a field that must not be there twice, and is.
func (h *Head) repeats(f *Field, buf []byte) *Error {
	if !h.seen.Has(f.Known) || !single.Has(f.Known) || h.kind >= ofTrailers {
		return nil
	}
	reason := FieldRepeated
	switch f.Known {
	case Host:
		reason = HostRepeated
	case TransferEncoding:
		reason = CodingRepeated
	case ContentLength:
		reason = LengthRepeated
	}
	if h.kind == ofResponse {
		before := h.fields[h.first[f.Known]].Value
		switch {
		case f.Known == Host || f.Known == Authorization:
			return nil // mean nothing here
		case f.Known == ContentType || f.Known == ContentLength && string(buf[before.Off:before.end()]) == string(buf[f.Value.Off:f.Value.end()]):
			f.Flags |= Repeated
			return nil
		}
	}
	return h.fail(reason, int(f.Name.Off), "second field "+quote(buf[f.Name.Off:f.Value.end()]))
}

// readConnection notes what the Connection fields list, and flags what is not to
// be forwarded.
func (h *Head) readConnection() *Error {
	if h.seen.Has(Connection) {
		options := 0
		for _, f := range h.fields {
			if f.Known != Connection {
				continue
			}
			for list := h.Bytes(f.Value); list != nil; {
				var option []byte
				if option, list = syntax.CutElement(list); len(option) == 0 {
					continue
				}
				if options++; options > maxConnectionOptions {
					return h.fail(ConnectionTooLong, int(f.Value.Off), "too many options in field \"Connection\"")
				}
				h.option(option)
			}
		}
	}
	drop := hopByHop | h.named&^protected
	for i := range h.fields {
		f := &h.fields[i]
		if drop.Has(f.Known) || f.Known == Unknown && h.lists(h.Bytes(f.Name)) {
			f.Flags |= HopByHop
		}
	}
	return nil
}

func (h *Head) option(option []byte) {
	switch {
	case syntax.Fold(option, "close"):
		h.close = true
	case syntax.Fold(option, "keep-alive"):
		h.keepAlive = true
	case syntax.Fold(option, "upgrade"):
		h.upgrade = true
	default:
		if k := KnownName(option); k != Unknown {
			h.named |= 1 << k
			return
		}
		h.listed = append(append(h.listed, option...), ',')
	}
}

// lists reports whether Connection lists the field name, which is not a known one.
// It needs no buffer: trailers come when that of the head may be gone.
func (h *Head) lists(name []byte) bool {
	for list := h.listed; len(list) > 0; {
		var option []byte
		if option, list = syntax.CutElement(list); syntax.EqualFold(name, option) {
			return true
		}
	}
	return false
}

// hasElement reports whether a field k lists the element lower, exactly but for
// its case.
func (h *Head) hasElement(k Known, lower string) bool {
	if !h.seen.Has(k) {
		return false
	}
	for _, f := range h.fields {
		if f.Known != k {
			continue
		}
		for list := h.Bytes(f.Value); list != nil; {
			var element []byte
			if element, list = syntax.CutElement(list); syntax.Fold(element, lower) {
				return true
			}
		}
	}
	return false
}
