package notice

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// helloWithin bounds a handshake, from the connection to the last proof.
const helloWithin = time.Second

// farewellWithin bounds the writing of a goodbye: a process that ends waits for
// nobody.
const farewellWithin = 100 * time.Millisecond

// process is a run of an agent.
type process struct {
	boot bootID
	node string
}

// identity is what this agent says of itself, and how it proves it.
type identity struct {
	process
	key []byte
}

// link is a connection after its handshake: both ends know who is there.
type link struct {
	conn net.Conn
	peer process
	key  []byte
	said transcript
}

// rejection is the error of a handshake that was answered, but wrongly: by
// another program, another release, or with another key.
type rejection struct{ error }

func reject(format string, args ...any) error { return rejection{fmt.Errorf(format, args...)} }

// call is the dialer's half of the handshake:
//
//	dialer                 acceptor
//	hello            ->
//	                 <-    hello, proof
//	proof            ->
//
// Without a key both leave the proofs out. The deadline that the caller has set
// bounds the handshake, and is taken off when it succeeds.
func (id identity) call(conn net.Conn) (*link, error) {
	own := id.hello()
	if _, err := conn.Write(own.encode()); err != nil {
		return nil, fmt.Errorf("send hello: %w", err)
	}
	answer, err := id.readHello(conn)
	if err != nil {
		return nil, err
	}
	l := &link{conn, process{answer.Boot, answer.Node}, id.key, transcript{own, answer}}
	if own.Keyed {
		if err := l.readProof(labelAcceptor); err != nil {
			return nil, err
		}
		if err := l.send(frameProof, labelDialer, ""); err != nil {
			return nil, fmt.Errorf("send proof: %w", err)
		}
	}
	conn.SetDeadline(time.Time{})
	return l, nil
}

// answer is the acceptor's half of the handshake.
func (id identity) answer(conn net.Conn) (*link, error) {
	own := id.hello()
	question, rejected := id.readHello(conn)
	if rejected != nil && question == (hello{}) {
		return nil, rejected
	}
	// A peer whose hello is well-formed but not acceptable is answered all the
	// same: so it learns what is wrong from the hello, and says so on its side.
	if _, err := conn.Write(own.encode()); err != nil {
		return nil, fmt.Errorf("send hello: %w", err)
	}
	if rejected != nil {
		return nil, rejected
	}
	l := &link{conn, process{question.Boot, question.Node}, id.key, transcript{question, own}}
	if own.Keyed {
		if err := l.send(frameProof, labelAcceptor, ""); err != nil {
			return nil, fmt.Errorf("send proof: %w", err)
		}
		if err := l.readProof(labelDialer); err != nil {
			return nil, err
		}
	}
	conn.SetDeadline(time.Time{})
	return l, nil
}

func (id identity) hello() hello {
	h := hello{Boot: id.boot, Keyed: len(id.key) > 0, Node: cut(id.node)}
	rand.Read(h.Nonce[:]) // never fails
	return h
}

// readHello reads the peer's hello and judges it. A hello that was read but is
// not acceptable is returned with the error.
func (id identity) readHello(conn net.Conn) (hello, error) {
	body, err := expect(conn, frameHello)
	if err != nil {
		return hello{}, err
	}
	h, err := parseHello(body)
	switch {
	case err != nil:
		return hello{}, rejection{err}
	case h.Boot == id.boot:
		// Whoever relays our own hello to our own listener would have us prove
		// the key to ourselves.
		return h, reject("the hello is this node's own (hint: is the peer's address on this host?)")
	case h.Keyed && len(id.key) == 0:
		return h, reject("%q has a cluster key and this node has none (hint: set cluster.key_file on both nodes)", h.Node)
	case !h.Keyed && len(id.key) > 0:
		return h, reject("%q has no cluster key and this node has one (hint: set cluster.key_file on both nodes)", h.Node)
	}
	return h, nil
}

func (l *link) readProof(label string) error {
	body, err := expect(l.conn, frameProof)
	if err != nil {
		return err
	}
	if !l.said.proves(body, l.key, label, "") {
		return reject("%q has another cluster key (hint: copy the file of cluster.key_file to both nodes)", l.peer.node)
	}
	return nil
}

// expect reads a frame of the type.
func expect(conn net.Conn, want frameType) ([]byte, error) {
	t, body, err := readFrame(conn)
	switch {
	case err != nil && !errors.As(err, new(rejection)):
		return nil, fmt.Errorf("wait for an answer: %w", err)
	case err != nil:
		return nil, err
	case t != want:
		return nil, reject("read frame: type %d, want %d", t, want)
	}
	return body, nil
}

func (l *link) send(t frameType, label, text string) error {
	mac := l.said.mac(l.key, label, text)
	_, err := l.conn.Write(encodeFrame(t, append(mac[:], text...)))
	return err
}

// goodbye says that this process leaves in good order, and ends the link. Who
// does not hear it is left to the timers.
func (l *link) goodbye(reason string) {
	l.conn.SetWriteDeadline(time.Now().Add(farewellWithin))
	_ = l.send(frameGoodbye, labelGoodbye, cut(reason))
	l.conn.Close()
}

// wait returns how the link ended. A dialer hears nothing before a goodbye, an
// acceptor nothing at all.
func (l *link) wait() ending {
	t, body, err := readFrame(l.conn)
	switch {
	case err == nil && t == frameGoodbye && len(body) >= macSize && l.said.proves(body[:macSize], l.key, labelGoodbye, string(body[macSize:])):
		return ending{how: endGoodbye, detail: fmt.Sprintf("%q", body[macSize:])}
	case err == nil:
		return ending{how: endOther, detail: "an unexpected frame, or one that proves nothing"}
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return ending{how: endClosed, detail: "EOF"}
	case hungUp(err):
		return ending{how: endClosed, detail: "reset"}
	}
	return ending{how: endOther, detail: err.Error()}
}

// hungUp reports whether the other end closed or reset the connection.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE)
}
