// Package faulty is a server that misbehaves exactly as it is told: for tests of
// what stands before it, and to show it. It writes its answers byte by byte,
// because a server that knows HTTP would not let it be wrong about it. The field
// "Answers" of a response has the identity of the request: its X-Request-Id, or its
// path without one.
package faulty

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Protocol is what a server speaks.
type Protocol string

// The protocols.
const (
	HTTP Protocol = "http"
	TCP  Protocol = "tcp" // what comes is echoed
)

// Options say what a server is. Only Address is needed.
type Options struct {
	// Address is where it listens. Since Refuse closes the port and the next fault
	// opens it again, it has a port.
	Address string
	// Listen is net.Listen, or one like it that listens elsewhere.
	Listen   func(network, address string) (net.Listener, error)
	Protocol Protocol // HTTP if empty
	Body     string   // of its answers
	Spare    string   // the path of requests that meet no fault and are not counted: of health checks
	Ledger   *Ledger  // where its requests are counted; its own if nil
}

// A Server misbehaves as it was told last. Its methods may be called from several
// goroutines.
type Server struct {
	options Options
	ended   chan struct{} // closed by Close
	tasks   sync.WaitGroup

	accepted atomic.Int64

	mu       sync.Mutex
	fault    Fault
	met      int          // requests, or connections, since the fault is there
	listener net.Listener // nil while it refuses
	conns    map[*net.TCPConn]bool
}

// Start starts a server, without a fault. The caller closes it.
func Start(o Options) (*Server, error) {
	if o.Listen == nil {
		o.Listen = net.Listen
	}
	if o.Ledger == nil {
		o.Ledger = NewLedger()
	}
	s := &Server{options: o, ended: make(chan struct{}), conns: make(map[*net.TCPConn]bool)}
	return s, s.Set(Fault{})
}

// Ledger returns where the server's requests are counted.
func (s *Server) Ledger() *Ledger { return s.options.Ledger }

// Address returns where the server listens.
func (s *Server) Address() string { return s.options.Address }

// Accepted returns how many connections were accepted.
func (s *Server) Accepted() int { return int(s.accepted.Load()) }

// Set tells the server how to misbehave from the next request on; that which is
// being answered goes on as it began.
func (s *Server) Set(f Fault) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault, s.met = f, 0
	if f.Kind == Refuse {
		return s.shut()
	}
	select {
	case <-s.ended:
		return errors.New("set a fault: the server is closed")
	default:
	}
	if s.listener != nil {
		return nil
	}
	ln, err := s.options.Listen("tcp", s.options.Address)
	if err != nil {
		return fmt.Errorf("listen as a faulty server: %w", err)
	}
	s.listener = ln
	s.tasks.Go(func() { s.accept(ln) })
	return nil
}

// shut closes the port and resets every connection; mu is held.
func (s *Server) shut() error {
	var err error
	if s.listener != nil {
		err = s.listener.Close()
		s.listener = nil
	}
	for c := range s.conns {
		hangUp(c)
	}
	return err
}

// Close ends the server and waits for the end.
func (s *Server) Close() error {
	s.mu.Lock()
	select {
	case <-s.ended:
	default:
		close(s.ended)
	}
	err := s.shut()
	s.mu.Unlock()
	s.tasks.Wait()
	return err
}

func (s *Server) accept(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return // it was closed
		}
		conn, ok := c.(*net.TCPConn)
		if !ok {
			c.Close()
			continue
		}
		if !s.admit(conn, ln) {
			hangUp(conn)
			continue
		}
		s.tasks.Go(func() {
			defer s.forget(conn)
			s.converse(conn)
		})
	}
}

// admit reports whether the connection is to be served.
func (s *Server) admit(c *net.TCPConn, ln net.Listener) bool {
	s.accepted.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != ln {
		return false // it was shut while the connection came
	}
	if s.fault.Kind == Reset {
		s.met++
		if s.fault.hits(s.met - 1) {
			return false
		}
	}
	s.conns[c] = true
	return true
}

func (s *Server) forget(c *net.TCPConn) {
	c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// next returns the fault that the next request meets.
func (s *Server) next() Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault.Kind == Reset { // those that are accepted are served
		return Fault{}
	}
	s.met++
	if !s.fault.hits(s.met - 1) {
		return Fault{}
	}
	return s.fault
}

// converse answers what comes on a connection until that ends.
func (s *Server) converse(c *net.TCPConn) {
	if s.options.Protocol == TCP {
		buffer := make([]byte, 16<<10)
		for {
			n, err := c.Read(buffer)
			if err != nil || !s.send(c, s.next().echoOf(buffer[:n])) {
				return
			}
		}
	}
	r := bufio.NewReader(c)
	for {
		request, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			return // not a whole request
		}
		id := identity(request)
		if !s.send(c, s.judge(request, id).answerTo(id, request.Method, s.options.Body)) || request.Close {
			return
		}
	}
}

// judge counts a request and returns the fault that it meets.
func (s *Server) judge(r *http.Request, id string) Fault {
	if s.options.Spare != "" && r.URL.Path == s.options.Spare {
		return Fault{}
	}
	s.options.Ledger.note(id)
	return s.next()
}

// identity returns the identity that came with a request, or else its path.
func identity(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); id != "" {
		return id
	}
	return r.URL.Path
}

// send sends the answer and reports whether the connection is kept.
func (s *Server) send(c *net.TCPConn, a answer) bool {
	if !s.write(c, a.text, a.rate) {
		return false
	}
	switch a.then {
	case abort:
		hangUp(c)
	case stall:
		_, _ = io.Copy(io.Discard, c) // until the other side, or Close, ends it
	}
	return a.then == keep
}

// piecesPerSecond is how many pieces a slow answer comes in, unless it is slower
// than that many bytes.
const piecesPerSecond = 20

func (s *Server) write(c *net.TCPConn, b []byte, rate int) bool {
	if rate == 0 {
		_, err := c.Write(b)
		return err == nil
	}
	piece := max(1, rate/piecesPerSecond)
	tick := time.NewTicker(time.Second * time.Duration(piece) / time.Duration(rate))
	defer tick.Stop()
	for len(b) > 0 {
		select {
		case <-tick.C:
		case <-s.ended:
			return false
		}
		n := min(piece, len(b))
		if _, err := c.Write(b[:n]); err != nil {
			return false
		}
		b = b[n:]
	}
	return true
}

// hangUp resets the connection.
func hangUp(c *net.TCPConn) {
	_ = c.SetLinger(0) // a close without a linger is a reset (tcp(7), SO_LINGER)
	c.Close()
}
