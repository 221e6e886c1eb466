package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tandemlb/tandem/scripts/bench/web"
)

// handshakers is how many clients make connections at a time.
const handshakers = 8

// clientConfig is that of a client that believes any certificate, and agrees on what both
// systems choose: no time is to be spent on what only one of them knows.
func clientConfig() *tls.Config {
	return &tls.Config{
		InsecureSkipVerify: true, ServerName: "bench", MinVersion: tls.VersionTLS13,
		CurvePreferences: []tls.CurveID{tls.X25519}, SessionTicketsDisabled: true,
	}
}

// visit asks the server by way of address, and checks that the connection is as all are
// to be.
func visit(address string) error {
	c, err := open(address, clientConfig())
	if err != nil {
		return err
	}
	defer c.Close()
	if s := c.ConnectionState(); s.CipherSuite != tls.TLS_AES_128_GCM_SHA256 || s.CurveID != tls.X25519 {
		return fmt.Errorf("it agreed on %s with %v: want TLS_AES_128_GCM_SHA256 with X25519", tls.CipherSuiteName(s.CipherSuite), s.CurveID)
	}
	return web.Get(c, make([]byte, 4<<10))
}

// open connects, and makes a handshake.
func open(address string, config *tls.Config) (*tls.Conn, error) {
	raw, err := net.DialTimeout("tcp", address, web.AnswerWithin)
	if err != nil {
		return nil, err
	}
	c := tls.Client(raw, config)
	if err := errors.Join(raw.SetDeadline(time.Now().Add(web.AnswerWithin)), c.Handshake()); err != nil {
		raw.Close()
		return nil, err
	}
	return c, nil
}

// fixed is a cache of sessions that gives the same one to every connection.
type fixed struct{ session *tls.ClientSessionState }

// Get returns the session.
func (f *fixed) Get(string) (*tls.ClientSessionState, bool) { return f.session, f.session != nil }

// Put keeps the first session.
func (f *fixed) Put(_ string, s *tls.ClientSessionState) {
	if f.session == nil {
		f.session = s
	}
}

// resuming is the config of a client that resumes a session which it has with the server
// at address.
func resuming(address string) (*tls.Config, error) {
	cache := &fixed{}
	config := clientConfig()
	config.SessionTicketsDisabled, config.ClientSessionCache = false, cache
	c, err := open(address, config)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := web.Get(c, make([]byte, 4<<10)); err != nil { // with which the ticket comes
		return nil, err
	}
	if cache.session == nil {
		return nil, errors.New("it gives no ticket")
	}
	return config, nil
}

// handshakes makes one connection after the other, by several clients, until ctx is done,
// and returns how many there were. Each must be resumed, or not, as it is wanted.
func handshakes(ctx context.Context, address string, resumed bool) (int, error) {
	config := clientConfig()
	if resumed {
		var err error
		if config, err = resuming(address); err != nil {
			return 0, fmt.Errorf("prepare to resume: %w", err)
		}
	}
	var count atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, handshakers)
	for i := range handshakers {
		wg.Go(func() {
			for ctx.Err() == nil && errs[i] == nil {
				errs[i] = handshake(address, config, resumed)
				count.Add(1)
			}
		})
	}
	wg.Wait()
	return int(count.Load()), errors.Join(errs...)
}

// handshake makes a connection, and ends it in good order. The shake of hands is over for
// both when the server has answered the end: with what it sends by itself, or with its own.
func handshake(address string, config *tls.Config, resumed bool) error {
	c, err := open(address, config)
	if err != nil {
		return err
	}
	defer c.Close()
	if did := c.ConnectionState().DidResume; did != resumed {
		return fmt.Errorf("a connection was resumed: %v, want %v", did, resumed)
	}
	if err := c.CloseWrite(); err != nil {
		return err
	}
	buf := make([]byte, 512)
	for {
		if _, err := c.NetConn().Read(buf); err != nil {
			return nil // it has closed, whichever way
		}
	}
}
