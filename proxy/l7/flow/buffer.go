// Package flow has what the bodies of messages move through, and how fast they must.
package flow

// BufferSize is what an exchange begins with, on each side. Only what is used of it
// costs memory.
const BufferSize = 32 << 10

// Buffer holds bytes that were received: those in B[R:W] have not been used yet.
type Buffer struct {
	B    []byte
	R, W int
}

// Unread returns what has not been used.
func (b *Buffer) Unread() []byte { return b.B[b.R:b.W] }

// Room returns where more can be received. It is empty when the buffer is full.
func (b *Buffer) Room() []byte { return b.B[b.W:] }

// Clear forgets everything.
func (b *Buffer) Clear() { b.R, b.W = 0, 0 }

// Compact moves what is unread to the front; everything before it is lost.
func (b *Buffer) Compact() {
	if b.R > 0 {
		b.W = copy(b.B, b.B[b.R:b.W])
		b.R = 0
	}
}

// Grow makes room at the end, up to a capacity of limit bytes, and reports whether
// there is any.
func (b *Buffer) Grow(limit int) bool {
	if b.W < len(b.B) {
		return true
	}
	size := min(2*len(b.B), limit)
	if size <= len(b.B) {
		return false
	}
	larger := make([]byte, size)
	copy(larger, b.B[:b.W])
	b.B = larger
	return true
}

// Keep puts p in the place of what is unread, behind what has been used.
func (b *Buffer) Keep(p []byte) {
	b.B = append(b.B[:b.R], p...)
	b.W = len(b.B)
	b.B = b.B[:cap(b.B)]
}

// Reset makes the buffer as it was in the beginning: a large one was for one message.
func (b *Buffer) Reset() {
	b.Clear()
	if len(b.B) != BufferSize {
		b.B = make([]byte, BufferSize)
	}
}
