package http1

import (
	"errors"
	"fmt"
)

// A Reason says why a message was refused. Its text is short, lower case and fit
// for a metric label.
type Reason string

// The reasons to refuse a message, with the status for its client when it is a
// request. Those without one concern responses, for which it is always 502, or
// what the caller wants to be written, for which it is 500.
const (
	BareLF             Reason = "bare_lf"               // 400
	BareCR             Reason = "bare_cr"               // 400
	ControlCharacter   Reason = "control_character"     // 400
	EmptyLines         Reason = "empty_lines"           // 400: too many before the request line
	RequestLineInvalid Reason = "request_line_invalid"  // 400: not three words
	RequestLineTooLong Reason = "request_line_too_long" // 414
	MethodInvalid      Reason = "method_invalid"        // 400
	MethodTooLong      Reason = "method_too_long"       // 501
	TargetInvalid      Reason = "target_invalid"        // 400
	VersionInvalid     Reason = "version_invalid"       // 400
	VersionUnsupported Reason = "version_unsupported"   // 505

	HeadTooLarge      Reason = "head_too_large"      // 431
	FieldTooLong      Reason = "field_too_long"      // 431
	TooManyFields     Reason = "too_many_fields"     // 431
	TrailersTooLarge  Reason = "trailers_too_large"  // 431: head and trailers together
	FieldNameInvalid  Reason = "field_name_invalid"  // 400
	SpaceBeforeColon  Reason = "space_before_colon"  // 400
	FoldedField       Reason = "folded_field"        // 400: or white space before the first one
	FieldRepeated     Reason = "field_repeated"      // 400: one that must be single
	ConnectionTooLong Reason = "connection_too_long" // 400: lists too many options
	UnknownExpect     Reason = "unknown_expectation" // 417

	HostMissing  Reason = "host_missing"  // 400
	HostRepeated Reason = "host_repeated" // 400
	HostInvalid  Reason = "host_invalid"  // 400
	HostConflict Reason = "host_conflict" // 400: is not the authority of the target

	LengthInvalid    Reason = "content_length_invalid"        // 400
	LengthRepeated   Reason = "content_length_repeated"       // 400
	LengthAndCoding  Reason = "length_and_transfer_encoding"  // 400
	CodingInvalid    Reason = "transfer_encoding_invalid"     // 400
	CodingRepeated   Reason = "transfer_encoding_repeated"    // 400
	CodingUnknown    Reason = "transfer_encoding_unknown"     // 501
	CodingInHTTP10   Reason = "transfer_encoding_in_http_1_0" // 400
	ChunkSizeInvalid Reason = "chunk_size_invalid"            // 400
	ChunkExtInvalid  Reason = "chunk_extension_invalid"       // 400
	ChunkExtTooLong  Reason = "chunk_extension_too_long"      // 400
	ChunkUnended     Reason = "chunk_data_unended"            // 400
	StatusInvalid    Reason = "status_line_invalid"           // of responses only
	StatusTooLong    Reason = "status_line_too_long"          // of responses only
	TooManyInterim   Reason = "too_many_interim_responses"    // of responses only
	InterimWithBody  Reason = "interim_response_with_body"    // of responses only
	UnsafeEdit       Reason = "unsafe_edit"                   // ours
)

// Reasons returns all reasons, for metrics that are to exist before the first
// refusal.
func Reasons() []Reason {
	return []Reason{
		BareLF, BareCR, ControlCharacter, EmptyLines, RequestLineInvalid, RequestLineTooLong, MethodInvalid,
		MethodTooLong, TargetInvalid, VersionInvalid, VersionUnsupported,
		HeadTooLarge, FieldTooLong, TooManyFields, TrailersTooLarge, FieldNameInvalid, SpaceBeforeColon, FoldedField,
		FieldRepeated, ConnectionTooLong, UnknownExpect,
		HostMissing, HostRepeated, HostInvalid, HostConflict,
		LengthInvalid, LengthRepeated, LengthAndCoding, CodingInvalid, CodingRepeated, CodingUnknown, CodingInHTTP10,
		ChunkSizeInvalid, ChunkExtInvalid, ChunkExtTooLong, ChunkUnended,
		StatusInvalid, StatusTooLong, TooManyInterim, InterimWithBody, UnsafeEdit,
	}
}

// status returns the status for the client whose request is refused for r.
func (r Reason) status() int {
	switch r {
	case RequestLineTooLong:
		return 414
	case UnknownExpect:
		return 417
	case HeadTooLarge, FieldTooLong, TooManyFields, TrailersTooLarge:
		return 431
	case UnsafeEdit:
		return 500
	case MethodTooLong, CodingUnknown:
		return 501
	case VersionUnsupported:
		return 505
	}
	return 400
}

// An Error is why a message was refused. Where the message ends is not known then:
// its connection is of no more use, once the client has got its answer.
type Error struct {
	Status int    // for the client: of the request's fault, or 502 for a response's
	Reason Reason // for a metric
	Offset int    // of the byte that is to blame, from the start of the head or of the body's coding
	Detail string // for a log: what was found, quoted and cut
}

// Error returns the detail and where it was found.
func (e *Error) Error() string { return fmt.Sprintf("%s at byte %d", e.Detail, e.Offset) }

// ReasonOf returns the reason that err carries, or "" when it is not, and does not
// wrap, an *Error.
func ReasonOf(err error) Reason {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	return ""
}

// errorAt makes the error of a request, or of a response.
func errorAt(response bool, reason Reason, offset int, detail string) *Error {
	e := &Error{Status: reason.status(), Reason: reason, Offset: offset, Detail: detail}
	if response {
		e.Status = 502
	}
	return e
}

// quote returns b quoted, and cut to what a line of a log can bear.
func quote(b []byte) string {
	const most = 64
	if len(b) > most {
		return fmt.Sprintf("%+q...", b[:most])
	}
	return fmt.Sprintf("%+q", b)
}
