package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/tandemlb/tandem/scripts/bench/side"
)

// canned is what the server behind the proxies answers.
const canned = "HTTP/1.1 200 OK\r\nServer: backend\r\nDate: Tue, 24 Nov 2026 12:00:00 GMT\r\nContent-Type: text/plain\r\n" +
	"Cache-Control: private, max-age=0\r\nVary: Accept-Encoding\r\nContent-Length: 64\r\n\r\n"

// runBackend serves on the listener that is descriptor 3 until ctx is done.
func runBackend(ctx context.Context) error {
	l, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return fmt.Errorf("listen on descriptor 3: %w", err)
	}
	return side.Serve(ctx, l, play)
}

// play answers requests of HTTP, and sends anything else back: it is to cost little
// beside what is measured.
func play(c net.Conn) {
	answer := []byte(canned + strings.Repeat("x", 64))
	buf := make([]byte, 4<<10)
	for have := 0; ; {
		n, err := c.Read(buf[have:])
		if err != nil {
			return // the proxy has closed it
		}
		have += n
		text := buf[:have]
		if bytes.HasPrefix(text, []byte("GET ")) {
			if have == len(buf) {
				return // no head is so long here
			}
			if !bytes.HasSuffix(text, []byte("\r\n\r\n")) {
				continue
			}
			text = answer
		}
		if _, err := c.Write(text); err != nil {
			return
		}
		have = 0
	}
}
