package l7

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync/atomic"
)

// requestBody is the client's body as one attempt sees it. Closing it ends the
// attempt's use of the body, not the body: when nothing was sent, another attempt
// reads it.
type requestBody struct {
	io.ReadCloser
	e      *exchange
	closed atomic.Bool
}

func (b *requestBody) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.e.bodyRead.Store(true)
	} else if err != nil {
		b.e.bodyErr.CompareAndSwap(nil, &err)
	}
	return n, err
}

func (b *requestBody) Close() error {
	b.closed.Store(true)
	return nil
}

// responseBody notes when the server breaks off.
type responseBody struct {
	io.ReadCloser
	e *exchange
}

func (b *responseBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF && b.e.client.Err() == nil {
		b.e.server.Broke()
	}
	return n, err
}

// responseWriter is the way to the client.
type responseWriter struct {
	http.ResponseWriter
	e        *exchange
	hijacked bool // the connection belongs to the exchange, until its end
}

func (w *responseWriter) WriteHeader(status int) {
	if status == http.StatusContinue {
		// The transport goes on to read the body, and that makes net/http say it.
		return
	}
	if status >= http.StatusOK {
		w.e.phase.Store(int32(stream))
		h := w.Header()
		// A type that the server did not state must not be guessed from the body.
		if h["Content-Type"] == nil {
			h["Content-Type"] = nil
		}
		// What may still come of the request's body must not be taken for the next
		// request (RFC 9112, section 9.6).
		if !w.e.bodyRead.Load() {
			h.Set("Connection", "close")
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Hijack implements http.Hijacker, for upgrades.
func (w *responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	w.hijacked = err == nil
	return c, buffered, err
}

// Unwrap lets http.ResponseController find Flush.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
