package l7

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/tandemlb/tandem/proxy/backend"
	"github.com/tandemlb/tandem/proxy/reactor/reactortest"
)

// terminated is set while the servers of the tests are spoken to over TLS.
var terminated *trust

// options are those of the backends of tests.
func options(t testing.TB) backend.Options {
	if terminated == nil {
		return backend.Options{}
	}
	return backend.Options{Identity: terminated.identity(t)}
}

// overTLS returns where the server at address is spoken to: there, or at a relay that
// terminates TLS for it. The relay passes on what it gets, ends and resets too.
func overTLS(t testing.TB, address string) string {
	if terminated == nil {
		return address
	}
	config := terminated.server(t, "127.0.0.1")
	l := reactortest.Listen(t)
	ctx, end := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			wg.Go(func() { relay(ctx, c, config, address) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		end()
		wg.Wait()
	})
	return l.Addr().String()
}

func relay(ctx context.Context, front *net.TCPConn, config *tls.Config, address string) {
	defer front.Close()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		front.SetLinger(0)
		return
	}
	back := c.(*net.TCPConn)
	defer back.Close()
	defer context.AfterFunc(ctx, func() {
		front.Close()
		back.Close()
	})()
	s := tls.Server(front, config)
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := io.Copy(back, s); err != nil {
			back.SetLinger(0)
			back.Close()
			return
		}
		back.CloseWrite()
	})
	if _, err := io.Copy(s, back); err != nil {
		front.SetLinger(0)
		front.Close()
	} else {
		s.CloseWrite()
		front.CloseWrite()
	}
	wg.Wait()
}

// Whatever holds with servers that are spoken to in plain holds over TLS.
func TestTheSameWithTLSToServers(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"late servers":       TestLateServers,
		"tunnels that drain": TestTunnelsEndWithTheDrainOfTheirServer,
		"bytes of a tunnel":  TestTunnelOfARequestCountsItsBytes,
		"around the switch":  TestBytesAroundTheSwitchKeepTheirOrder,
		"drain":              TestRequestsEndWithTheDrainOfTheirServer,
		"bad responses":      TestBadResponses,
		"nothing sent twice": TestNothingSentTwice,
		"expect":             TestExpectContinue,
		"interim":            TestInformationalResponses,
		"response heads":     TestResponseHead,
		"kept":               TestServerConnectionIsKept,
		"trailers":           TestTrailersBothWays,
		"descriptors":        TestOutOfDescriptors,
		"shutdown":           TestShutdownUnderLoad,
		"queue":              TestQueueIsServedInOrder,
		"closed under it":    TestIdleConnectionClosedUnderARequest,
		"ends are noticed":   TestIdleConnectionsThatEndAreNoticed,
		"not repeated":       TestNothingIsRepeatedThatMustNotBe,
		"limits of a pool":   TestPoolLimits,
		"reset":              TestBrokenResponseIsResetForHTTP10,
		"early responses":    TestEarlyResponseGetsThrough,
		"told apart":         TestResponsesAreToldApart,
		"full buffers":       TestResponsesThatFillTheBuffer,
		"older clients":      TestResponsesToHTTP10,
		"unsolicited":        TestUnsolicitedBytesOnIdleConnection,
		"retries":            TestRetries,
		"outcomes":           TestOutcomesReachThePool,
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTrust(t)
			terminated = &tr
			defer func() { terminated = nil }()
			test(t)
		})
	}
}
