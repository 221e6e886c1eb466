package http1

// Limits bound what a message may take. A codec never holds more than they allow,
// and refuses a message that exceeds one as soon as it does.
type Limits struct {
	Line    int // bytes of the request line, the status line or one field, without its CRLF
	Header  int // bytes of a head with all line ends, and of a head with its trailers
	Fields  int // fields of a head, and of the trailers
	Method  int // bytes of a method
	Interim int // interim responses before the final one

	ChunkExtension  int // bytes of the extensions of one chunk
	ChunkExtensions int // bytes of the extensions of all chunks of a body
}

// DefaultLimits returns the limits for a client that is not known.
func DefaultLimits() Limits {
	return Limits{
		Line:            8 << 10,
		Header:          32 << 10,
		Fields:          100,
		Method:          32,
		Interim:         16,
		ChunkExtension:  256,
		ChunkExtensions: 4 << 10,
	}
}

// The limits that are not worth a setting.
const (
	// maxEmptyLines before a request line: RFC 9112, section 2.2, asks to ignore
	// at least one, which old clients send behind a body.
	maxEmptyLines = 2

	// maxConnectionOptions that Connection may list, since each is compared with
	// each field.
	maxConnectionOptions = 32

	// extensionSlack and extensionRatio bound the extensions by the data: a body
	// may have extensionSlack bytes of extensions, and extensionRatio more for
	// each byte of data.
	extensionSlack = 512
	extensionRatio = 2
)
