package l7

// bufferSize is what an exchange begins with, on each side. Only what is used of it
// costs memory.
const bufferSize = 32 << 10

// A buffer holds bytes that were received: those in b[r:w] have not been used yet.
type buffer struct {
	b    []byte
	r, w int
}

// unread returns what has not been used.
func (b *buffer) unread() []byte { return b.b[b.r:b.w] }

// room returns where more can be received. It is empty when the buffer is full.
func (b *buffer) room() []byte { return b.b[b.w:] }

// clear forgets everything.
func (b *buffer) clear() { b.r, b.w = 0, 0 }

// compact moves what is unread to the front; everything before it is lost.
func (b *buffer) compact() {
	if b.r > 0 {
		b.w = copy(b.b, b.b[b.r:b.w])
		b.r = 0
	}
}

// grow makes room at the end, up to a capacity of limit bytes, and reports whether
// there is any.
func (b *buffer) grow(limit int) bool {
	if b.w < len(b.b) {
		return true
	}
	size := min(2*len(b.b), limit)
	if size <= len(b.b) {
		return false
	}
	larger := make([]byte, size)
	copy(larger, b.b[:b.w])
	b.b = larger
	return true
}

// keep puts p in the place of what is unread, behind what has been used.
func (b *buffer) keep(p []byte) {
	b.b = append(b.b[:b.r], p...)
	b.w = len(b.b)
	b.b = b.b[:cap(b.b)]
}

// reset makes the buffer as it was in the beginning: a large one was for one message.
func (b *buffer) reset() {
	b.clear()
	if len(b.b) != bufferSize {
		b.b = make([]byte, bufferSize)
	}
}
