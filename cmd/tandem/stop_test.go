package main

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/tandemlb/tandem/internal/admin"
)

// TestDrainingNodeRefusesConnections: one that were accepted then would never be
// served.
func TestDrainingNodeRefusesConnections(t *testing.T) {
	s := scene(t)
	const address = "127.0.0.1:8080"
	n := newNode(t, s, lb1, `listeners: {web: {bind: "`+address+`", protocol: tcp, servers: ["10.77.0.11:80"]}}`)
	n.start()
	n.waitStatus("serves", func(s *admin.Status) bool { return s.Fit })

	open, err := n.host.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	n.waitStatus("has the connection", func(s *admin.Status) bool { return s.Listeners[0].Connections == 1 })
	if err := n.proc.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	n.eventually(patience, "connections are refused", func() (bool, string) {
		c, err := n.host.DialContext(t.Context(), "tcp", address)
		if err == nil {
			c.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED), fmt.Sprint(err)
	})
	select {
	case <-n.proc.Done():
		t.Fatal("it did not wait for the connection that was open")
	default:
	}
	n.waitStatus("says that it is stopping", func(s *admin.Status) bool {
		return !s.Fit && s.Unfit == "the proxy does not serve: the node is stopping"
	})
	open.Close()
	if err := n.proc.Err(); err != nil {
		t.Errorf("exit: %v", err)
	}
}
