package l7

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/tandemlb/tandem/proxy/dial"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// exchange is one request and its response. It belongs to the goroutine of the
// request; what the transport's goroutines touch is atomic.
type exchange struct {
	backend *Backend
	client  context.Context // ends when the client leaves
	phase   atomic.Int32
	failed  bool // no server answered

	tried     []*upstream.Server
	server    *upstream.Server // that the exchange is with; nil while there is none
	exhausted bool

	bodyRead atomic.Bool           // the request's body was read to its end
	bodyErr  atomic.Pointer[error] // of reading it from the client
}

var errNoServer = errors.New("no healthy server")

// RoundTrip sends req to the servers whose turn it is until one takes it.
func (e *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn:      func(httptrace.GotConnInfo) { e.phase.CompareAndSwap(int32(connect), int32(send)) },
		WroteRequest: func(httptrace.WroteRequestInfo) { e.phase.CompareAndSwap(int32(send), int32(head)) },
	})
	err := errNoServer
	for {
		e.phase.Store(int32(pick))
		s, ok := e.backend.pool.Pick(time.Now(), e.tried)
		if !ok {
			e.exhausted = true
			if len(e.tried) > 0 {
				e.phase.Store(int32(connect))
			}
			return nil, err
		}
		e.phase.Store(int32(connect))
		var res *http.Response
		if res, err = e.attempt(req.WithContext(ctx), s); err == nil {
			return res, nil
		}
		if !decide(e.failure(err)).again {
			return nil, err
		}
	}
}

// attempt sends req, which it may modify, to s.
func (e *exchange) attempt(req *http.Request, s *upstream.Server) (*http.Response, error) {
	e.tried = append(e.tried, s)
	link := e.backend.links[s]
	url := *req.URL
	url.Host = link.host
	req.URL = &url
	if req.Body != nil {
		req.Body = &requestBody{ReadCloser: req.Body, e: e}
	}
	s.Begin()
	res, err := link.transport.RoundTrip(req)
	if err != nil {
		s.Abandon()
		if f := e.failure(err); f.phase > connect && !f.gone && !f.malformed {
			s.Broke()
		}
		return nil, err
	}
	e.server = s
	if res.StatusCode != http.StatusSwitchingProtocols {
		res.Body = &responseBody{ReadCloser: res.Body, e: e}
	}
	return res, nil
}

// end ends what attempt began.
func (e *exchange) end() {
	if e.server != nil {
		e.server.End()
	}
}

// failure says what is known about err.
func (e *exchange) failure(err error) failure {
	f := failure{
		phase:     phase(e.phase.Load()),
		gone:      e.client.Err() != nil,
		exhausted: e.exhausted,
	}
	// The transport may report a failed connect after the request had a reused
	// connection for a while: it sent the request again because nothing, or
	// nothing that matters, had gone out.
	if _, ok := errors.AsType[*dial.Error](err); ok {
		f.phase = connect
	}
	if ne, ok := errors.AsType[net.Error](err); ok {
		f.timeout = ne.Timeout()
	}
	if bodyErr := e.bodyErr.Load(); bodyErr != nil {
		// A body that ends early is a client that left; one that cannot be parsed
		// is a client to be told.
		_, network := errors.AsType[net.Error](*bodyErr)
		left := network || errors.Is(*bodyErr, io.ErrUnexpectedEOF)
		f.gone = f.gone || left
		f.malformed = !left
	}
	return f
}

// fail answers the client when there is no response to stream to it. It is the
// ErrorHandler of the ReverseProxy.
func (e *exchange) fail(w http.ResponseWriter, _ *http.Request, err error) {
	a := decide(e.failure(err))
	if a.status == 0 {
		panic(http.ErrAbortHandler)
	}
	why := http.StatusText(a.status)
	switch a.status {
	case http.StatusBadRequest:
		w.Header().Set("Connection", "close")
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
		why = fmt.Sprintf("No healthy server in pool %q", e.backend.pool.Spec().Name)
	case http.StatusBadGateway:
		why = "The server could not be reached or did not answer properly"
	case http.StatusGatewayTimeout:
		why = "The server did not answer in time"
	}
	e.failed = a.status >= http.StatusInternalServerError
	reply(w, a.status, why)
}

// reply answers with a short text.
func reply(w http.ResponseWriter, status int, why string) {
	body := fmt.Sprintf("%d %s\n", status, why)
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}
