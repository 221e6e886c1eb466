package console

import (
	"net/netip"
	"testing"
	"time"
)

func TestGuesses(t *testing.T) {
	var g guesses
	now := time.Unix(1000, 0)
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for i := range guessBurst {
		if wait := g.wait(now, a); wait != 0 {
			t.Fatalf("try %d waits %v", i, wait)
		}
		g.wrong(now, a)
	}
	if wait := g.wait(now, a); wait != guessEvery {
		t.Errorf("the next one waits %v, want %v", wait, guessEvery)
	}
	if wait := g.wait(now, b); wait != 0 {
		t.Errorf("another address waits %v", wait)
	}
	now = now.Add(guessEvery)
	if wait := g.wait(now, a); wait != 0 {
		t.Errorf("later it waits %v", wait)
	}
	g.wrong(now, a)
	if wait := g.wait(now, a); wait != guessEvery {
		t.Errorf("after one more it waits %v, want %v", wait, guessEvery)
	}
	now = now.Add(guessBurst * guessEvery)
	for range guessBurst {
		g.wrong(now, a)
	}
	if wait := g.wait(now, a); wait != guessEvery {
		t.Errorf("a rest gave it more than the burst: it waits %v", wait)
	}
}

func TestAHostOfIPv6IsItsNetwork(t *testing.T) {
	var g guesses
	now := time.Unix(1000, 0)
	from := netip.MustParseAddr("2001:db8::1")
	for range guessBurst {
		g.wrong(now, from)
		from = from.Next()
	}
	if g.wait(now, from) == 0 {
		t.Error("another address of the same subnet has guesses of its own")
	}
	if g.wait(now, netip.MustParseAddr("2001:db8:0:1::1")) != 0 {
		t.Error("another subnet waits")
	}
}

func TestGuessersAreBounded(t *testing.T) {
	var g guesses
	now := time.Unix(1000, 0)
	worst := netip.MustParseAddr("192.0.2.1")
	for range guessBurst {
		g.wrong(now, worst)
	}
	from := netip.MustParseAddr("198.18.0.0")
	for range 3 * guessers {
		g.wrong(now, from)
		from = from.Next()
	}
	if len(g.full) > guessers {
		t.Errorf("%d are kept", len(g.full))
	}
	if g.wait(now, worst) == 0 {
		t.Error("a flood of others made forget who has used up his guesses")
	}
}

func TestRefusalsAreLoggedNowAndThen(t *testing.T) {
	var s said
	now := time.Unix(1000, 0)
	lines := 0
	for range 100 {
		if _, ok := s.next(now); ok {
			lines++
		}
	}
	if lines != sayBurst {
		t.Errorf("%d lines at once, want %d", lines, sayBurst)
	}
	held, ok := s.next(now.Add(sayEvery))
	if !ok || held != 100-sayBurst {
		t.Errorf("the next line: %t, %d held back", ok, held)
	}
}

// FuzzHost holds that no name but the node's own passes for it.
func FuzzHost(f *testing.F) {
	for _, s := range []string{"", "localhost", "lb1.example.com:8404", "[::1]:1", "127.0.0.1", "a:b:c", "[", "]", "localhost.", "[fe80::1%25eth0]:1"} {
		f.Add(s)
	}
	r := rules{names: []string{"lb1.example.com"}}
	f.Fuzz(func(t *testing.T, host string) {
		if !r.isOwn(host) {
			return
		}
		name := hostOnly(host)
		if _, err := netip.ParseAddr(name); err == nil {
			return
		}
		for _, c := range name {
			if c == '/' || c == '@' || c == ' ' {
				t.Errorf("%q passes", host)
			}
		}
		if l := len(name); l < len("localhost") || l > len("lb1.example.com.") {
			t.Errorf("%q passes", host)
		}
	})
}
