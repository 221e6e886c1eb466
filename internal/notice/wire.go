package notice

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
)

// A frame is the magic, a type, the length of the body, and the body:
//
//	"TDN" 1 | type | length | body
//
// One byte of length bounds what a stranger can make us read.
const (
	magic      = "TDN\x01" // its last byte is the version
	headerSize = len(magic) + 2
	macSize    = sha256.Size
	maxText    = 64 // bytes of a name or a reason
)

type frameType uint8

const (
	frameHello   frameType = 1 // boot | nonce | flags | name of the node
	frameProof   frameType = 2 // mac
	frameGoodbye frameType = 3 // mac | reason
)

// maxBody returns the longest body of a frame of this type; 0: no such type.
func (t frameType) maxBody() int {
	switch t {
	case frameHello:
		return helloSize + maxText
	case frameProof:
		return macSize
	case frameGoodbye:
		return macSize + maxText
	}
	return 0
}

// bootID tells one run of an agent from the next.
type bootID [16]byte

// hello is the first frame of both ends.
type hello struct {
	Boot  bootID
	Nonce [32]byte // makes every proof good for this connection only
	Keyed bool     // whether the sender has a key, and wants proof of it
	Node  string
}

const helloSize = len(bootID{}) + 32 + 1

const flagKeyed = 1

// encode returns the whole frame. The name is cut to what the frame holds.
func (h hello) encode() []byte {
	body := append(h.Boot[:], h.Nonce[:]...)
	var flags byte
	if h.Keyed {
		flags = flagKeyed
	}
	return encodeFrame(frameHello, append(append(body, flags), cut(h.Node)...))
}

func parseHello(body []byte) (hello, error) {
	if len(body) < helloSize {
		return hello{}, fmt.Errorf("parse hello: %d bytes are fewer than %d", len(body), helloSize)
	}
	var h hello
	rest := body[copy(h.Boot[:], body):]
	rest = rest[copy(h.Nonce[:], rest):]
	if rest[0]&^flagKeyed != 0 {
		return hello{}, fmt.Errorf("parse hello: unknown flags %#02x", rest[0])
	}
	h.Keyed, h.Node = rest[0] == flagKeyed, string(rest[1:])
	return h, nil
}

// cut bounds a text to what a frame holds.
func cut(s string) string { return s[:min(len(s), maxText)] }

// encodeFrame returns a frame whose body is within the limit of its type.
func encodeFrame(t frameType, body []byte) []byte {
	return append(append([]byte(magic), byte(t), byte(len(body))), body...)
}

// readFrame reads one frame, and not one byte more. What is no frame is a
// rejection; other errors are those of the connection.
func readFrame(r io.Reader) (frameType, []byte, error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, nil, err
	}
	if !bytes.HasPrefix(header[:], []byte(magic[:3])) {
		return 0, nil, reject("read frame: %q is not the beginning of one", header)
	}
	if header[3] != magic[3] {
		return 0, nil, reject("read frame: version %d, want %d (hint: run the same release on both nodes)", header[3], magic[3])
	}
	t, length := frameType(header[4]), int(header[5])
	if length > t.maxBody() || t.maxBody() == 0 {
		return 0, nil, reject("read frame: type %d with %d bytes", t, length)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	return t, body, nil
}

// transcript is what both ends have said before the proofs: a proof over it is
// bound to both nonces and to both processes.
type transcript struct{ dialer, acceptor hello }

// The labels give each statement a meaning of its own: what the acceptor has
// proven cannot be reflected as the proof of the dialer, nor as a goodbye.
const (
	labelDialer   = "tandem notice 1: dialer"
	labelAcceptor = "tandem notice 1: acceptor"
	labelGoodbye  = "tandem notice 1: goodbye"
)

// mac is the proof that who holds the key says label and text in the
// conversation t; without a key it is zero, and proves nothing.
func (t transcript) mac(key []byte, label, text string) [macSize]byte {
	if len(key) == 0 {
		return [macSize]byte{}
	}
	h := hmac.New(sha256.New, key)
	for _, part := range [][]byte{[]byte(label), t.dialer.encode(), t.acceptor.encode(), []byte(text)} {
		// With its length before it, no part can pass for another.
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		h.Write(part)
	}
	return [macSize]byte(h.Sum(nil))
}

// proves reports whether mac is the one of label and text, in constant time.
func (t transcript) proves(mac, key []byte, label, text string) bool {
	want := t.mac(key, label, text)
	return hmac.Equal(mac, want[:])
}
