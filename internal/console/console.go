// Package console is the admin API and the status page on TCP, for browsers and for
// tools on other hosts. It decides who may ask: see docs/status-page.md.
package console

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/gate"
	"github.com/tandemlb/tandem/internal/metrics"
	"github.com/tandemlb/tandem/internal/page"
	"github.com/tandemlb/tandem/proxy/stats"
)

const (
	headerTimeout = 5 * time.Second
	callTimeout   = 10 * time.Second // for a whole request, and again for its answer
	idleTimeout   = 30 * time.Second
	headerBytes   = 16 << 10
)

// Options says where a Console listens and whom it answers. With a zero Listen it
// does not.
type Options struct {
	Listen    netip.AddrPort
	TokenFile string // empty: nobody may change anything
	Cert, Key string // paths; empty: plain HTTP
	Names     []string
	Node      Node
	Log       *zap.Logger
}

// Node is what the console gives access to.
type Node interface {
	admin.Node
	metrics.Node
}

// A Console answers on TCP. A nil Console answers nowhere. Multiple goroutines may
// invoke its methods.
type Console struct {
	o        Options
	listener net.Listener
	rules    rules
	token    *watched[digest]           // nil: there is none
	pair     *watched[*tls.Certificate] // nil: plain HTTP
	feed     *page.Feed
	api      http.Handler
	pages    http.Handler

	patience time.Duration // callTimeout, but in tests

	refusals map[Refusal]*atomic.Uint64 // every one is there
	said     said

	mu      sync.Mutex
	guesses guesses
	session session
}

// Open binds the address and reads the files. It answers from Run on; a Console that
// is not run is to be closed.
func Open(ctx context.Context, o Options) (*Console, error) {
	if !o.Listen.IsValid() {
		return nil, nil
	}
	o.Log = o.Log.Named("console")
	c := &Console{
		o: o, rules: rules{token: o.TokenFile != "", names: o.Names},
		api: admin.Handler(o.Node, metrics.Handler(o.Node, o.Log)), pages: page.Handler(),
		patience: callTimeout, refusals: make(map[Refusal]*atomic.Uint64),
	}
	c.feed = page.NewFeed(page.Options{Look: o.Node.Explain, Count: c.traffic, ReadOnly: !c.rules.token, Refused: func() { c.count(Watchers) }})
	for _, r := range Refusals() {
		c.refusals[r] = new(atomic.Uint64)
	}
	now := time.Now()
	if o.TokenFile != "" {
		c.token = &watched[digest]{
			paths: []string{o.TokenFile}, changed: c.changed("token"),
			make: func() (digest, error) { return readToken(o.TokenFile) },
		}
		if _, err := c.token.get(now); err != nil {
			return nil, err
		}
	}
	if o.Cert != "" {
		c.pair = &watched[*tls.Certificate]{
			paths: []string{o.Cert, o.Key}, changed: c.changed("certificate"), keep: true,
			make: func() (*tls.Certificate, error) { return readCertificate(o.Cert, o.Key) },
		}
		if _, err := c.pair.get(now); err != nil {
			return nil, err
		}
	}
	l, err := gate.Listen(ctx, o.Listen)
	if err != nil {
		return nil, fmt.Errorf("open the admin listener: %w", err)
	}
	c.listener = gate.Bound(l, c.crowded)
	return c, nil
}

// traffic returns what was counted of the traffic, unless the worker does not say now.
func (c *Console) traffic(ctx context.Context) (stats.Snapshot, bool) {
	counts := c.o.Node.Counts(ctx)
	return counts.Traffic, counts.Fresh
}

// changed logs how it went when a file has changed.
func (c *Console) changed(what string) func(error) {
	return func(err error) {
		if err != nil {
			c.o.Log.Error("the "+what+" of the admin listener cannot be used", zap.Error(err))
			return
		}
		c.o.Log.Info("the " + what + " of the admin listener was read again")
	}
}

// Addr returns where it listens.
func (c *Console) Addr() net.Addr { return c.listener.Addr() }

// Close closes a Console that is not run.
func (c *Console) Close() {
	if c != nil {
		c.listener.Close()
	}
}

// Run answers until ctx is done, and closes the listener.
func (c *Console) Run(ctx context.Context) error {
	if c == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	var parts sync.WaitGroup
	defer parts.Wait()
	defer cancel()
	parts.Go(func() { c.feed.Run(ctx) })
	if c.token != nil {
		parts.Go(func() { c.watchToken(ctx) })
	}

	s := &http.Server{
		Handler:           c,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       c.patience,
		WriteTimeout:      c.patience,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytes,
		// What browsers and scanners do to a TLS port says nothing that helps.
		ErrorLog:  zap.NewStdLog(zap.NewNop()),
		Protocols: new(http.Protocols),
	}
	s.Protocols.SetHTTP1(true)
	parts.Go(func() {
		<-ctx.Done()
		s.Close()
	})
	c.o.Log.Info("the status page is served", zap.Stringer("address", c.Addr()), zap.Bool("tls", c.pair != nil), zap.Bool("token", c.token != nil))
	var err error
	if c.pair == nil {
		err = s.Serve(c.listener)
	} else {
		s.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.certificate}
		err = s.ServeTLS(c.listener, "", "")
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the admin listener: %w", err)
	}
	return nil
}

func (c *Console) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.pair.get(time.Now())
}

// View says where it listens and how many it has refused.
func (c *Console) View() *admin.Console {
	if c == nil {
		return nil
	}
	v := &admin.Console{
		Listen: c.Addr().String(), TLS: c.pair != nil, ReadOnly: c.token == nil, Watchers: c.feed.Watchers(),
		Refused: make(map[string]uint64),
	}
	for r, n := range c.refusals {
		v.Refused[string(r)] = n.Load()
	}
	return v
}
