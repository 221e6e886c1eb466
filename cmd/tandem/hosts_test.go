package main

import (
	"context"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !ok() {
		select {
		case <-ticker.C:
		case <-deadline.C:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func TestHangupDuringAStopIsIgnored(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer signal.Reset(syscall.SIGHUP)
	hangups(ctx)
	if signal.Ignored(syscall.SIGHUP) {
		t.Fatal("SIGHUP is ignored while the node runs")
	}
	cancel()
	eventually(t, "SIGHUP is ignored", func() bool { return signal.Ignored(syscall.SIGHUP) })
}
