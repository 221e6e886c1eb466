package web

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestBackendAnswers(t *testing.T) {
	const chunkedBody = "5\r\nhello\r\n3;x=y\r\nyou\r\n0\r\nTrailer: 1\r\n\r\n"
	for _, test := range []struct {
		name, request string
		body          int
	}{
		{"small", "GET /small HTTP/1.1\r\nHost: a\r\n\r\n", 64},
		{"medium", "GET /medium HTTP/1.1\r\nHost: a\r\n\r\n", 10 << 10},
		{"large", "GET /large HTTP/1.1\r\nHost: a\r\n\r\n", 1 << 20},
		{"chunks", "GET /pieces HTTP/1.1\r\nHost: a\r\n\r\n", 16 << 10},
		{"a body sent", "POST /small HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello", 64},
		{"chunks sent", "POST /pieces HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n" + chunkedBody, 16 << 10},
	} {
		t.Run(test.name, func(t *testing.T) {
			// Twice: the second shows that the first was framed well.
			var out bytes.Buffer
			conn := struct {
				io.Reader
				io.Writer
			}{strings.NewReader(test.request + test.request), &out}
			if err := ServeConn(conn, Answers()); err != nil {
				t.Fatal(err)
			}
			r := bufio.NewReader(&out)
			for range 2 {
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				if resp.StatusCode != 200 || len(body) != test.body {
					t.Errorf("got status %d and %d bytes, want 200 and %d", resp.StatusCode, len(body), test.body)
				}
			}
			if r.Buffered() > 0 {
				t.Errorf("%d bytes more than two answers", r.Buffered())
			}
		})
	}
}

func TestBackendRefuses(t *testing.T) {
	for name, request := range map[string]string{
		"an unknown path":    "GET /else HTTP/1.1\r\n\r\n",
		"one word":           "GET\r\n\r\n",
		"no length":          "GET /small HTTP/1.1\r\nContent-Length: x\r\n\r\n",
		"a head cut short":   "GET /small HTTP/1.1\r\nHost: a\r\n",
		"a body cut short":   "POST /small HTTP/1.1\r\nContent-Length: 5\r\n\r\nhell",
		"a chunk cut short":  "POST /small HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhell",
		"no end of trailers": "POST /small HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := ServeConn(struct {
				io.Reader
				io.Writer
			}{strings.NewReader(request), &out}, Answers())
			if err == nil || out.Len() > 0 {
				t.Errorf("got %v and the answer %q, want an error alone", err, out.String())
			}
		})
	}
}
