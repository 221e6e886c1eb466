// Package web is the load before proxies of HTTP, and the server behind them, for
// benches that compare them.
package web

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"os"
	"strconv"
	"strings"

	"github.com/tandemlb/tandem/scripts/bench/side"
)

// The paths that the backend knows, each with what it answers.
const (
	Small   = "/small"   // 64 bytes
	Medium  = "/medium"  // 10 KiB
	Large   = "/large"   // 1 MiB
	Pieces  = "/pieces"  // 16 KiB in four chunks
	Upgrade = "/upgrade" // 101, and then every byte back
)

// The key and the answer to it that RFC 6455, section 1.3, has as its example.
const (
	WebsocketKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	WebsocketAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// Answers returns what is sent for each path, ready to be written.
func Answers() map[string][]byte {
	const head = "HTTP/1.1 200 OK\r\nServer: backend\r\nDate: Tue, 24 Nov 2026 12:00:00 GMT\r\nContent-Type: text/plain\r\n"
	body := func(n int) []byte {
		return fmt.Appendf(nil, "%sContent-Length: %d\r\n\r\n%s", head, n, strings.Repeat("x", n))
	}
	chunk := fmt.Sprintf("%x\r\n%s\r\n", chunkSize, strings.Repeat("x", chunkSize))
	return map[string][]byte{
		Small:   body(64),
		Medium:  body(10 << 10),
		Large:   body(1 << 20),
		Pieces:  []byte(head + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat(chunk, chunks) + "0\r\n\r\n"),
		Upgrade: []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + WebsocketAccept + "\r\n\r\n"),
	}
}

// RunBackend serves on the listener that is descriptor 3 until ctx is done. It is
// hand-written so that it costs little beside what is measured: a goroutine and a
// canned answer a connection, and no more looking at requests than framing takes.
func RunBackend(ctx context.Context) error {
	f := os.NewFile(3, "listener")
	l, err := net.FileListener(f)
	if err != nil {
		return fmt.Errorf("listen on descriptor 3: %w", err)
	}
	defer l.Close()
	return Serve(ctx, l)
}

// Serve serves on l until ctx is done, and waits for its goroutines.
func Serve(ctx context.Context, l net.Listener) error {
	canned := Answers()
	return side.Serve(ctx, l, func(c net.Conn) {
		// A request that is cut short, or that no proxy should send, ends the
		// connection: the client's count of errors shows it.
		_ = ServeConn(c, canned)
	})
}

// ServeConn answers requests until the peer closes the connection.
func ServeConn(c io.ReadWriter, canned map[string][]byte) error {
	r := bufio.NewReaderSize(c, 8<<10)
	for {
		req, err := readHead(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := req.discardBody(r); err != nil {
			return err
		}
		answer, ok := canned[req.path]
		if !ok {
			return fmt.Errorf("no path %q here", req.path)
		}
		if _, err := c.Write(answer); err != nil {
			return err
		}
		if req.path == Upgrade {
			return echo(c, r)
		}
		if req.close {
			return nil
		}
	}
}

// echo sends back what comes, out of the buffer that is there already: there may be
// thousands of these.
func echo(w io.Writer, r *bufio.Reader) error {
	for {
		if _, err := r.Peek(1); err != nil {
			return err
		}
		n := r.Buffered()
		text, err := r.Peek(n)
		if err != nil {
			return err
		}
		if _, err := w.Write(text); err != nil {
			return err
		}
		if _, err := r.Discard(n); err != nil {
			return err
		}
	}
}

// head is what the backend wants to know of a request.
type head struct {
	path    string
	length  int // of the body
	chunked bool
	close   bool
}

func readHead(r *bufio.Reader) (head, error) {
	var h head
	line, err := r.ReadSlice('\n')
	if err != nil {
		return h, err
	}
	_, rest, _ := bytes.Cut(line, []byte(" "))
	path, _, ok := bytes.Cut(rest, []byte(" "))
	if !ok {
		return h, fmt.Errorf("request line %q: want three words", line)
	}
	h.path = string(path)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return h, fmt.Errorf("read the head of a request: %w", NoEOF(err))
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return h, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if h.length, err = strconv.Atoi(string(value)); err != nil || h.length < 0 {
				return h, fmt.Errorf("field %q: want a length", line)
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			h.chunked = true
		case bytes.EqualFold(name, []byte("Connection")):
			h.close = bytes.EqualFold(value, []byte("close"))
		}
	}
}

// discardBody reads the body of a request to its end.
func (h head) discardBody(r *bufio.Reader) error {
	if !h.chunked {
		_, err := r.Discard(h.length)
		return NoEOF(err)
	}
	if _, err := io.Copy(io.Discard, httputil.NewChunkedReader(r)); err != nil {
		return err
	}
	for {
		// The trailer section, which the reader of chunks leaves alone.
		line, err := r.ReadSlice('\n')
		if err != nil {
			return NoEOF(err)
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			return nil
		}
	}
}

// NoEOF is for where the end of the stream is no good end.
func NoEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
