package http1

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tandemlb/tandem/proxy/http1/syntax"
)

// Decoder takes a body apart that is sent in chunks (RFC 9112, section 7.1). It
// needs a Reset before each body. It belongs to one goroutine at a time.
type Decoder struct {
	lim      *Limits
	head     *Head // that the body belongs to
	state    chunkState
	left     uint64 // size that is being read, then what is to come of the chunk
	digits   int    // of the size
	offset   int    // in the body's coding
	data     uint64 // bytes of data that were announced
	chunkExt int    // bytes of extensions of this chunk
	allExt   int    // of all
	buf      []byte // of the trailers
	trailers Head
	failed   *Error
}

// chunkState is what the next byte belongs to.
type chunkState uint8

const (
	chunkSize         chunkState = iota
	chunkExtBlank                // white space behind the size or an extension: a semicolon must follow
	chunkExtStart                // behind the semicolon
	chunkExtName                 //
	chunkExtEquals               // white space behind the name
	chunkExtValue                // behind the equals sign
	chunkExtToken                //
	chunkExtQuoted               //
	chunkExtEscaped              // behind a backslash
	chunkExtEnd                  // behind the quotes
	chunkLineEnd                 // LF of the size's line
	chunkData                    //
	chunkDataEnd                 // CR behind the data
	chunkDataEndLine             // LF behind the data
	chunkTrailers                // at the start of the trailers
	chunkTrailersLF              // LF of the empty line, there being no trailers
	chunkTrailerLines            //
	chunkDone                    //
)

// Reset makes d ready for the body behind head, which must stay until the body is
// Done: its size and what Connection lists bear on the trailers. Without a head the
// body counts as that of a request.
func (d *Decoder) Reset(head *Head, lim *Limits) {
	*d = Decoder{lim: lim, head: head, buf: d.buf[:0], trailers: d.trailers}
	d.trailers.start(ofTrailers)
	if d.response() {
		d.trailers.start(ofResponseTrailers)
	}
}

func (d *Decoder) response() bool { return d.head != nil && d.head.kind.response() }

// Done reports whether the whole body has been decoded, trailers included. A
// connection that ends earlier broke the body off.
func (d *Decoder) Done() bool { return d.state == chunkDone }

// Trailers returns the trailers, once Done. Those that may not be forwarded are
// flagged HopByHop. They are valid until the next Reset.
func (d *Decoder) Trailers() *Head { return &d.trailers }

// Decode decodes the bytes of the body in b, in place: the data is then in
// b[:data]. Of b the first used bytes belong to the body, which are all unless the
// body is Done; what follows them is untouched. An error is an *Error, after which
// the body cannot be decoded further; the data before it is sound.
//
// If any data is returned, two bytes behind it may be overwritten, or seven if the
// body is Done: they are used ones, or behind b. So FrameChunk, and AppendLastChunk
// without trailers, can write in the same buffer.
func (d *Decoder) Decode(b []byte) (data, used int, err error) {
	for used < len(b) && d.state != chunkDone {
		if d.failed != nil {
			return data, used, d.failed
		}
		switch d.state {
		case chunkData:
			n := len(b) - used
			if uint64(n) > d.left {
				n = int(d.left)
			}
			if data != used {
				copy(b[data:], b[used:used+n])
			}
			data, used = data+n, used+n
			d.offset += n
			if d.left -= uint64(n); d.left == 0 {
				d.state = chunkDataEnd
			}
		case chunkTrailerLines:
			n := 0
			n, d.failed = d.readTrailers(b[used:])
			used += n
			d.offset += n
		default:
			d.failed = d.step(b[used])
			// The first byte of a trailer is read again, as a part of its line.
			if d.state != chunkTrailerLines {
				used++
				d.offset++
			}
		}
	}
	if d.failed != nil {
		return data, used, d.failed
	}
	return data, used, nil
}

// step takes the byte c of anything but data and trailers.
func (d *Decoder) step(c byte) *Error {
	switch d.state {
	case chunkSize:
		return d.stepSize(c)
	case chunkLineEnd:
		if c != '\n' {
			return d.fail(ChunkSizeInvalid, c)
		}
		d.begin()
	case chunkDataEnd:
		if c != '\r' {
			return d.fail(ChunkUnended, c)
		}
		d.state = chunkDataEndLine
	case chunkDataEndLine:
		if c != '\n' {
			return d.fail(ChunkUnended, c)
		}
		d.state = chunkSize
	case chunkTrailers:
		d.state = chunkTrailerLines
		if c == '\r' {
			d.state = chunkTrailersLF
		}
	case chunkTrailersLF:
		if c != '\n' {
			return d.fail(BareCR, c)
		}
		d.state = chunkDone
	default:
		return d.stepExtension(c)
	}
	return nil
}

// stepSize takes a byte of chunk-size = 1*HEXDIG, or the one behind it. Sixteen
// digits are as many as the largest size has.
func (d *Decoder) stepSize(c byte) *Error {
	if v := syntax.HexDigit(c); v >= 0 {
		if d.digits++; d.digits > 16 {
			return d.fail(ChunkSizeInvalid, c)
		}
		d.left = d.left<<4 | uint64(v)
		return nil
	}
	if d.digits == 0 || d.left > math.MaxInt64 {
		return d.fail(ChunkSizeInvalid, c)
	}
	d.data += d.left
	switch c {
	case '\r':
		d.state = chunkLineEnd
		return nil
	case ';':
		d.state = chunkExtBlank
		return d.stepExtension(c)
	}
	return d.fail(ChunkSizeInvalid, c)
}

// begin goes on behind the line of a size.
func (d *Decoder) begin() {
	d.state = chunkData
	if d.left == 0 {
		d.state = chunkTrailers
	}
	d.digits, d.chunkExt = 0, 0
}

// stepExtension takes a byte of the extensions, which nobody uses but to make
// servers read much for little, or to hide the end of a line. They are parsed to be
// dropped:
//
//	*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )
//
// But white space right behind the size is refused, as others do.
func (d *Decoder) stepExtension(c byte) *Error {
	if c != '\r' {
		d.chunkExt++
		d.allExt++
		if d.chunkExt > d.lim.ChunkExtension || d.allExt > d.lim.ChunkExtensions ||
			uint64(d.allExt) > extensionSlack+extensionRatio*min(d.data, math.MaxInt32) {
			return d.fail(ChunkExtTooLong, c)
		}
	}
	blank := c == ' ' || c == '\t'
	token := classes[c]&classToken != 0
	next := d.state
	switch d.state {
	case chunkExtBlank:
		next = behind(c, chunkExtBlank, ";")
	case chunkExtStart, chunkExtValue:
		switch {
		case blank:
		case token && d.state == chunkExtStart:
			next = chunkExtName
		case token:
			next = chunkExtToken
		case c == '"' && d.state == chunkExtValue:
			next = chunkExtQuoted
		default:
			next = chunkDone
		}
	case chunkExtName:
		if !token {
			next = behind(c, chunkExtEquals, ";=\r")
		}
	case chunkExtEquals:
		next = behind(c, chunkExtEquals, ";=")
	case chunkExtToken:
		if !token {
			next = behind(c, chunkExtBlank, ";\r")
		}
	case chunkExtQuoted:
		switch {
		case c == '"':
			next = chunkExtEnd
		case c == '\\':
			next = chunkExtEscaped
		case classes[c]&classQuoted == 0:
			next = chunkDone
		}
	case chunkExtEscaped:
		if next = chunkExtQuoted; classes[c]&classQuoted == 0 {
			next = chunkDone
		}
	case chunkExtEnd:
		next = behind(c, chunkExtBlank, ";\r")
	}
	if next == chunkDone {
		return d.fail(ChunkExtInvalid, c)
	}
	d.state = next
	return nil
}

// behind returns the state after c, which ends a part of an extension: white space
// leads to the state blank, and of the rest only what is allowed is valid. Else it is
// chunkDone.
func behind(c byte, blank chunkState, allowed string) chunkState {
	switch {
	case c == ' ' || c == '\t':
		return blank
	case strings.IndexByte(allowed, c) < 0:
		return chunkDone
	case c == ';':
		return chunkExtStart
	case c == '=':
		return chunkExtValue
	}
	return chunkLineEnd
}

// readTrailers takes lines of the trailers from b, as far as they go.
func (d *Decoder) readTrailers(b []byte) (used int, _ *Error) {
	most := d.lim.Header
	if d.head != nil {
		most = max(most-d.head.Len(), 0)
	}
	for used < len(b) {
		n := slices.Index(b[used:], '\n') + 1
		if n == 0 {
			n = len(b) - used
		}
		d.buf = append(d.buf, b[used:used+n]...)
		used += n
		done, err := d.trailers.readFields(d.buf, d.lim, most)
		if err != nil {
			err.Offset += d.offset + used - len(d.buf)
			return used, err
		}
		if done {
			d.state = chunkDone
			d.flagTrailers()
			break
		}
	}
	return used, nil
}

// flagTrailers flags what must not follow the body.
func (d *Decoder) flagTrailers() {
	d.trailers.stage = complete
	for i := range d.trailers.fields {
		f := &d.trailers.fields[i]
		named := d.head != nil && (d.head.named.Has(f.Known) || f.Known == Unknown && d.head.lists(d.trailers.Bytes(f.Name)))
		if named || notInTrailers.Has(f.Known) {
			f.Flags |= HopByHop
		}
	}
}

func (d *Decoder) fail(reason Reason, c byte) *Error {
	return errorAt(d.response(), reason, d.offset, "chunked body has byte "+strconv.QuoteRuneToASCII(rune(c))+" where it must not be")
}

// ChunkRoom is the room that FrameChunk wants before the data.
const ChunkRoom = 16 + len("\r\n")

// FrameChunk makes a chunk of the data in buf[from:to], in place, and returns it:
// buf from somewhat before the data, where there must be ChunkRoom, to two bytes
// behind it. The data must not be empty: that would be the last chunk.
func FrameChunk(buf []byte, from, to int) []byte {
	const digits = "0123456789abcdef"
	copy(buf[to:to+2], "\r\n")
	from -= 2
	copy(buf[from:], "\r\n")
	for n := to - from - 2; n > 0; n >>= 4 {
		from--
		buf[from] = digits[n&0xf]
	}
	return buf[from : to+2]
}

// AppendChunkHeader appends the line before a chunk of n bytes, which must be more
// than none. Behind the chunk belongs CRLF.
func AppendChunkHeader(dst []byte, n int) []byte {
	return append(strconv.AppendUint(dst, uint64(n), 16), "\r\n"...)
}

// AppendLastChunk appends the end of a body in chunks, with those of trailers that
// may be forwarded. trailers may be nil.
func AppendLastChunk(dst []byte, trailers *Head) []byte {
	dst = append(dst, "0\r\n"...)
	if trailers != nil {
		dst = trailers.appendRange(dst, 0, len(trailers.fields), &Edit{})
	}
	return append(dst, "\r\n"...)
}
