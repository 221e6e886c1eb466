package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/scripts/bench/web/webtest"
)

func TestTunnelsEcho(t *testing.T) {
	address := webtest.Start(t)
	err := each(t.Context(), 100, func(n int) error {
		c, err := openTunnel(address)
		if err != nil {
			return err
		}
		defer c.Close()
		for range 3 {
			if err := c.echoes(n); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestDroppedTunnelIsNoticed(t *testing.T) {
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		_, _ = theirs.Read(make([]byte, 100))
	}()
	err := (&tunnel{ours}).echoes(7)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

func TestRefusedUpgradeIsNoticed(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() {
		defer theirs.Close()
		_, _ = theirs.Read(make([]byte, 1000))
		_, _ = io.WriteString(theirs, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}()
	if err := handshake(ours); err == nil || !strings.Contains(err.Error(), "200 OK") {
		t.Errorf("got %v, want the status in an error", err)
	}
}

func TestEachStopsAtAnError(t *testing.T) {
	want := errors.New("no more")
	err := each(t.Context(), 1_000_000_000, func(n int) error {
		if n == 100 {
			return want
		}
		return nil
	})
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

func TestOutlivedSaysHowMany(t *testing.T) {
	got := fmt.Sprint(outlived{System: "tandem", Tunnels: 5000, Reloads: 100, Dropped: 1, Seconds: 2, Why: []string{"tunnel 7 ended"}})
	want := "websockets over 100 reloads with tandem: dropped = 1 of 5000 (the reloads took 2.0 s)\n  tunnel 7 ended"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
