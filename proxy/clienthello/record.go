package clienthello

import "fmt"

const (
	handshake   = 22 // the type of a record (RFC 8446, section 5.1)
	clientHello = 1  // the type of a message of the handshake

	recordHead  = 1 + 2 + 2 // type, version, length
	maxRecord   = 16 << 10  // of what is in one, in bytes
	messageHead = 1 + 3     // type, length
)

// join returns the first message of the handshake that b begins with, without its
// head. It may be spread over several records.
func join(b []byte) (message []byte, complete bool, err error) {
	b = b[:min(len(b), MaxSize)]
	var space [messageHead]byte
	head := space[:0] // of the message, from as many records as it takes
	size := -1        // of the message, with its head
	have := 0
	for rest := b; ; {
		part, after, err := cutRecord(rest)
		if err != nil {
			return nil, false, err
		}
		if n := messageHead - len(head); n > 0 {
			head = append(head, part[:min(n, len(part))]...)
			if size, err = sizeOf(head); err != nil {
				return nil, false, err
			}
		}
		have += len(part)
		if size >= 0 && have >= size {
			return gather(b, size)[messageHead:], true, nil
		}
		if after == nil {
			break
		}
		rest = after
	}
	if len(b) == MaxSize {
		return nil, false, tooLong()
	}
	return nil, false, nil
}

func tooLong() error { return &Error{TooLong, fmt.Sprintf("more than %d bytes", MaxSize)} }

// sizeOf returns the size of a message with that head; -1: it is not known yet.
func sizeOf(head []byte) (int, error) {
	if len(head) > 0 && head[0] != clientHello {
		return -1, &Error{NotTLS, fmt.Sprintf("the first message is of type %d", head[0])}
	}
	if len(head) < messageHead {
		return -1, nil
	}
	size := messageHead + int(head[1])<<16 + int(head[2])<<8 + int(head[3])
	if size+recordHead > MaxSize {
		return -1, tooLong()
	}
	return size, nil
}

// cutRecord returns what there is of the content of the record that b begins with, and
// what follows it; nil: it is not complete.
func cutRecord(b []byte) (content, after []byte, err error) {
	switch {
	case len(b) > 0 && b[0] != handshake:
		return nil, nil, &Error{NotTLS, fmt.Sprintf("a record of type %d", b[0])}
	case len(b) > 1 && b[1] != 3:
		return nil, nil, &Error{NotTLS, fmt.Sprintf("a record of version %d", b[1])}
	case len(b) < recordHead:
		return nil, nil, nil
	}
	size := int(b[3])<<8 + int(b[4])
	if size == 0 || size > maxRecord {
		return nil, nil, malformed("a record of %d bytes", size)
	}
	b = b[recordHead:]
	if len(b) < size {
		return b, nil, nil
	}
	return b[:size], b[size:], nil
}

// gather returns the first size bytes of what is in the records of b, which are there.
// In the usual case that is one record, and nothing is copied.
func gather(b []byte, size int) (all []byte) {
	for {
		part, after, _ := cutRecord(b) // they have been read before
		if all == nil && len(part) >= size {
			return part[:size]
		}
		all = append(all, part[:min(len(part), size-len(all))]...)
		if len(all) == size {
			return all
		}
		b = after
	}
}

// reader takes a message apart. Beyond its end there is nothing: b is nil from then on.
type reader struct{ b []byte }

func (r *reader) more() bool { return len(r.b) > 0 }

func (r *reader) take(n int) []byte {
	if n > len(r.b) || r.b == nil {
		r.b = nil
		return nil
	}
	part := r.b[:n:n]
	r.b = r.b[n:]
	return part
}

func (r *reader) skip(n int) { r.take(n) }

// number takes a number of n bytes; 0 when there is none.
func (r *reader) number(n int) (x int) {
	for _, c := range r.take(n) {
		x = x<<8 | int(c)
	}
	return x
}
