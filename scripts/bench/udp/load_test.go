package main

import (
	"context"
	"net"
	"testing"
	"time"
)

func TestWindow(t *testing.T) {
	const ms = time.Millisecond
	w := window{size: 8}
	for _, step := range []struct {
		name      string
		at        time.Duration
		sent, got int
		want      int // room, after that
	}{
		{"nothing yet", 0, 0, 0, 8},
		{"some sent", 10 * ms, 5, 0, 3},
		{"full", 11 * ms, 3, 0, 0},
		{"an answer makes room", 100 * ms, 0, 2, 2},
		{"not given up yet", 299 * ms, 0, 0, 2},
		{"given up", 301 * ms, 0, 0, 8},
		{"sent anew", 302 * ms, 8, 0, 0},
		{"answers to both", 303 * ms, 0, 12, 8},
		{"sent after silence", 900 * ms, 0, 0, 8},
		{"the silence before does not count", 901 * ms, 8, 0, 0},
	} {
		w.sent(step.sent)
		if step.got > 0 {
			w.got(step.got, step.at)
		}
		if got := w.room(step.at); got != step.want {
			t.Fatalf("%s: room for %d, want %d", step.name, got, step.want)
		}
	}
}

func TestEveryQuestionComesFromElsewhere(t *testing.T) {
	const many = 100_000
	seen := make(map[[4]byte]bool, many)
	for n := range uint64(many) {
		a := home(n)
		if a[0] != 127 || a == [4]byte{127, 0, 0, 1} || a[3] == 0 || a[3] == 255 || seen[a] {
			t.Fatalf("question %d comes from %v", n, a)
		}
		seen[a] = true
	}
}

// Without a proxy between them, load and server are to lose nothing.
func TestEachScenarioHasItsAnswers(t *testing.T) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- echo(ctx, c) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	for _, sc := range scenarios() {
		t.Run(sc.name, func(t *testing.T) {
			loaded, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
			defer cancel()
			m, err := sc.load(loaded, c.LocalAddr().String())
			if err != nil || m.answered == 0 || m.answered > m.sent || m.took == 0 {
				t.Errorf("%+v, %v", m, err)
			}
		})
	}
}
