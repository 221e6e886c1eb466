// Package webtest runs the server of package web for tests.
package webtest

import (
	"net"
	"testing"

	"github.com/tandemlb/tandem/scripts/bench/web"
)

// Start serves until the end of the test, and returns its address.
func Start(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context() // which is done before the clean-up
	done := make(chan error, 1)
	go func() { done <- web.Serve(ctx, l) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}
