// Package l7 carries HTTP requests to servers, request by request.
package l7

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/proxy"
)

// Limits on what a client may take its time with, and send.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 60 * time.Second
	maxHeader     = 32 << 10 // bytes
)

// Proxy serves one HTTP listener. Multiple goroutines may invoke methods on a
// Proxy at the same time.
type Proxy struct {
	log      *zap.Logger
	errorLog *log.Logger // of net/http
	server   *http.Server
	backend  atomic.Pointer[Backend]
	buffers  buffers

	ctx   context.Context // ends when exchanges must
	abort context.CancelFunc
	conns sync.WaitGroup

	open     atomic.Int64
	accepted atomic.Uint64
	requests atomic.Uint64
	failed   atomic.Uint64
	panics   atomic.Uint64
}

// New returns a proxy to the servers of backend.
func New(backend *Backend, logger *zap.Logger) *Proxy {
	p := &Proxy{log: logger, errorLog: debugLog(logger)}
	p.ctx, p.abort = context.WithCancel(context.Background())
	p.backend.Store(backend)
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	p.server = &http.Server{
		Handler:           p,
		Protocols:         &protocols,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          p.errorLog,
		BaseContext:       func(net.Listener) context.Context { return p.ctx },
		ConnState:         p.count,
		// "OPTIONS *" is for the servers to answer.
		DisableGeneralOptionsHandler: true,
	}
	return p
}

// debugLog returns a logger for what net/http reports: mostly what clients and
// servers did wrong, which is counted elsewhere.
func debugLog(logger *zap.Logger) *log.Logger {
	l, err := zap.NewStdLogAt(logger, zap.DebugLevel)
	if err != nil {
		panic(fmt.Sprintf("l7: %v", err)) // of an unknown level only
	}
	return l
}

// SetBackend makes new requests, also those of open connections, go to the servers
// of b.
func (p *Proxy) SetBackend(b *Backend) { p.backend.Store(b) }

// Serve accepts connections from l until l is closed, then returns nil.
// Connections live on.
func (p *Proxy) Serve(l *net.TCPListener) error {
	err := p.server.Serve(l)
	if errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("accept on %s: %w", l.Addr(), err)
}

// Shutdown closes idle connections, waits for the exchanges in progress to end,
// and cuts those that are left when ctx ends. Every Serve has returned before.
func (p *Proxy) Shutdown(ctx context.Context) {
	stop := context.AfterFunc(ctx, p.cut)
	defer stop()
	// It fails when ctx ends, and then cut has done the rest.
	_ = p.server.Shutdown(ctx)
	p.conns.Wait()
	p.cut()
}

func (p *Proxy) cut() {
	p.abort() // upgraded connections are no longer known to the server
	p.server.Close()
}

// count follows the connections. That of an upgraded one ends with its exchange.
func (p *Proxy) count(_ net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		p.accepted.Add(1)
		p.open.Add(1)
		p.conns.Add(1)
	case http.StateClosed:
		p.closed()
	}
}

func (p *Proxy) closed() {
	p.open.Add(-1)
	p.conns.Done()
}

// Traffic returns the counters.
func (p *Proxy) Traffic() proxy.Traffic {
	return proxy.Traffic{
		Open:     p.open.Load(),
		Accepted: p.accepted.Load(),
		Requests: p.requests.Load(),
		Failed:   p.failed.Load(),
		Panics:   p.panics.Load(),
	}
}

// ServeHTTP runs the exchange that r begins.
func (p *Proxy) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	p.requests.Add(1)
	defer p.contain(r)
	if r.Method == http.MethodConnect || r.Method == http.MethodTrace {
		rw.Header().Set("Connection", "close")
		reply(rw, http.StatusMethodNotAllowed, r.Method+" is not allowed")
		return
	}
	e := &exchange{backend: p.backend.Load(), client: r.Context()}
	e.bodyRead.Store(r.ContentLength == 0)
	w := &responseWriter{ResponseWriter: rw, e: e}
	defer p.end(w)
	rp := httputil.ReverseProxy{
		Rewrite:       rewrite,
		Transport:     e,
		ErrorHandler:  e.fail,
		FlushInterval: -1,
		BufferPool:    &p.buffers,
		ErrorLog:      p.errorLog,
	}
	// Without it net/http holds a response back until it has read the request's
	// body, of which there may be no end.
	if err := http.NewResponseController(rw).EnableFullDuplex(); err != nil {
		panic(fmt.Sprintf("l7: %v", err)) // of another server only
	}
	rp.ServeHTTP(w, r)
}

// end closes the books on an exchange.
func (p *Proxy) end(w *responseWriter) {
	w.e.end()
	if w.e.failed {
		p.failed.Add(1)
	}
	switch {
	case w.hijacked:
		p.closed()
	case !w.e.bodyRead.Load():
		// The transport may be waiting for more of the body, and net/http would wait
		// with it; the connection ends with this exchange.
		_ = http.NewResponseController(w.ResponseWriter).SetReadDeadline(time.Unix(1, 0))
	}
}

// contain keeps a panic within its connection, which is cut.
func (p *Proxy) contain(r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
		p.panics.Add(1)
		p.log.Error("handler panicked", zap.Any("panic", v), zap.String("method", r.Method),
			zap.String("target", r.RequestURI), zap.ByteString("stack", debug.Stack()))
	}
	panic(http.ErrAbortHandler)
}

// buffers lends the buffers that bodies are copied through.
type buffers struct{ pool sync.Pool }

const bufferSize = 32 << 10

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte {
	if buf, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return buf[:]
	}
	return make([]byte, bufferSize)
}

// Put implements httputil.BufferPool.
func (b *buffers) Put(buf []byte) { b.pool.Put((*[bufferSize]byte)(buf)) }
