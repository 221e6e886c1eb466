package retry

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tandemlb/tandem/proxy"
)

var everything = Compile([]proxy.RetryOn{
	proxy.RetryConnect, proxy.RetryReset, proxy.RetryEmpty, proxy.RetryTimeout,
	proxy.Retry425, proxy.Retry429, proxy.Retry502, proxy.Retry503, proxy.Retry504,
})

// moment is one way to fail, as the rule table has it.
type moment struct {
	name   string
	phase  Phase
	cause  Cause
	status int // of the server

	unsent  bool
	partial bool // something of a response had come

	// By whether the connection was reused: what must be listed, and whose requests
	// may be sent again. "" is never.
	fresh, reused rule
	answer        int // when it is not
}

type rule struct {
	on     proxy.RetryOn
	unsafe bool // also what must not be done twice
	once   bool // not behind another race
}

func moments() []moment {
	anybody := func(on proxy.RetryOn) rule { return rule{on: on, unsafe: true} }
	twice := func(on proxy.RetryOn) rule { return rule{on: on} }
	race := rule{on: proxy.RetryReset, once: true}
	never := rule{}
	both := func(r rule) [2]rule { return [2]rule{r, r} }
	row := func(name string, p Phase, c Cause, answer int, r [2]rule) moment {
		return moment{name: name, phase: p, cause: c, answer: answer, fresh: r[0], reused: r[1]}
	}
	all := []moment{
		row("connect refused", Connect, ServerBroke, 502, both(anybody(proxy.RetryConnect))),
		row("connect timed out", Connect, ServerLate, 504, both(anybody(proxy.RetryConnect))),
		row("broke while sending", Send, ServerBroke, 502, [2]rule{twice(proxy.RetryEmpty), race}),
		row("took too long to take it", Send, ServerLate, 504, both(twice(proxy.RetryTimeout))),
		row("broke before an answer", Head, ServerBroke, 502, [2]rule{twice(proxy.RetryEmpty), race}),
		row("no answer in time", Head, ServerLate, 504, both(twice(proxy.RetryTimeout))),
		row("not an answer", Head, ServerBad, 502, both(never)),
		row("broke while the response was sent", Stream, ServerBroke, 0, both(never)),
		row("response stopped", Stream, ServerLate, 0, both(never)),
		row("no server", Pick, NoServer, 503, both(never)),
		row("queue full", Pick, QueueFull, 503, both(never)),
		row("queue timeout", Pick, QueueTimeout, 503, both(never)),
		row("breaker open", Pick, BreakerOpen, 503, both(never)),
		row("time of the route is up", Head, RouteLate, 504, both(never)),
		row("drained", Head, Drained, 503, both(never)),
		row("client left", Head, ClientGone, 0, both(never)),
		row("client slow", Send, ClientSlow, 408, both(never)),
		row("client's body malformed", Head, ClientBad, 400, both(never)),
		row("client's body malformed from the start", Read, ClientBad, 400, both(never)),
		row("client's body too large", Head, ClientTooBig, 413, both(never)),
		row("shut down", Head, ShutDown, 0, both(never)),
	}
	unsent := row("nothing was taken", Send, ServerBroke, 502, [2]rule{anybody(proxy.RetryConnect), anybody(proxy.RetryReset)})
	unsent.unsent = true
	partly := row("broke within the head", Head, ServerBroke, 502, both(never))
	partly.partial = true
	late := row("head stopped", Head, ServerLate, 504, both(never))
	late.partial = true
	all = append(all, unsent, partly, late)
	for _, code := range []int{425, 429, 502, 503, 504} {
		m := row(fmt.Sprint("status ", code), Head, ServerStatus, 0, both(twice(proxy.RetryOn(fmt.Sprint(code)))))
		if code == 425 {
			m.fresh, m.reused = anybody(proxy.Retry425), anybody(proxy.Retry425)
		}
		m.status, m.partial = code, true
		all = append(all, m)
	}
	other := row("status 500", Head, ServerStatus, 0, both(never))
	other.status, other.partial = 500, true
	return append(all, other)
}

// Every combination of what the rules ask for, against the table.
func TestDecideFollowsTheTable(t *testing.T) {
	names := []proxy.RetryOn{
		proxy.RetryConnect, proxy.RetryReset, proxy.RetryEmpty, proxy.RetryTimeout,
		proxy.Retry425, proxy.Retry429, proxy.Retry502, proxy.Retry503, proxy.Retry504,
	}
	sets := map[proxy.RetryOn]On{"none": 0, "all": everything}
	for _, n := range names {
		sets[n] = Compile([]proxy.RetryOn{n})
	}
	again := 0
	for _, m := range moments() {
		for i := range 1 << 7 {
			bit := func(n int) bool { return i&(1<<n) != 0 }
			f := Failure{
				Phase: m.phase, Cause: m.cause, Status: m.status, Unsent: m.unsent, Untouched: !m.partial,
				Reused: bit(0), Keyed: bit(1), Whole: bit(2), Told: bit(3), Raced: bit(4),
			}
			budget := bit(5)
			if bit(6) {
				f.Left = 1
			}
			r := m.fresh
			if f.Reused {
				r = m.reused
			}
			for _, f.Method = range []Safety{Unsafe, Idempotent, Safe} {
				for on, set := range sets {
					may := r.on != "" && (on == "all" || on == r.on) && f.Left > 0 && f.Whole && !f.Told &&
						(r.unsafe || f.Method != Unsafe || f.Keyed) && !(r.once && f.Raced)
					want := Action{Again: may && budget}
					if want.Again {
						want.Fresh = r.on == proxy.RetryReset
						again++
					} else {
						want.Status = m.answer
					}
					asked := 0
					got := Decide(f, set, func() bool { asked++; return budget })
					if got != want {
						t.Errorf("%s, on %s, budget %t, %+v:\ngot %+v, want %+v", m.name, on, budget, f, got, want)
					}
					if want := map[bool]int{true: 1}[may]; asked != want {
						t.Errorf("%s, on %s, %+v: the budget was asked %d times, want %d", m.name, on, f, asked, want)
					}
				}
			}
		}
	}
	if again == 0 {
		t.Error("nothing was ever sent again")
	}
}

// Whatever is known, nothing is sent again once a client has heard of a response, or a
// server may have acted on what must not be done twice.
func TestDecideNeverRepeatsWhatCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.Bool()
		f := Failure{
			Phase: Phase(rapid.IntRange(int(Read), int(Stream)).Draw(t, "phase")), Cause: Cause(rapid.IntRange(int(None), int(ShutDown)).Draw(t, "cause")),
			Status: rapid.SampledFrom([]int{0, 200, 425, 429, 500, 502, 503, 504}).Draw(t, "status"),
			Reused: b.Draw(t, "reused"), Untouched: b.Draw(t, "untouched"), Unsent: b.Draw(t, "unsent"),
			Method: Safety(rapid.IntRange(int(Unsafe), int(Safe)).Draw(t, "method")), Keyed: b.Draw(t, "keyed"),
			Whole: b.Draw(t, "whole"), Told: b.Draw(t, "told"), Left: rapid.IntRange(0, 2).Draw(t, "left"), Raced: b.Draw(t, "raced"),
		}
		a := Decide(f, everything, func() bool { return true })
		harmless := f.Phase <= Connect || f.Unsent || f.Method != Unsafe || f.Keyed || f.Cause == ServerStatus && f.Status == 425
		switch {
		case a.Again && a.Status != 0:
			t.Fatalf("%+v: both again and %d", f, a.Status)
		case a.Again && (!f.Whole || f.Told || f.Phase == Stream || f.Left == 0 || !f.Cause.Blames() || !harmless):
			t.Fatalf("%+v: sent again", f)
		case f.Phase == Stream && a != Action{}:
			t.Fatalf("%+v: %+v after the response began", f, a)
		}
	})
}

func TestBackoffIsJitteredInFull(t *testing.T) {
	const base = 25 * time.Millisecond
	tests := []struct {
		name  string
		first time.Duration
		n     int
		most  time.Duration
	}{
		{"none", 0, 3, 0},
		{"first", base, 1, base},
		{"second", base, 2, 2 * base},
		{"fourth", base, 4, 8 * base},
		{"bounded", base, 1000, longest},
		{"longer than the bound", time.Hour, 1, longest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Backoff(tt.first, tt.n, uint64(tt.most)); got != tt.most {
				t.Errorf("greatest = %s, want %s", got, tt.most)
			}
			if got := Backoff(tt.first, tt.n, 0); got != 0 {
				t.Errorf("least = %s, want 0", got)
			}
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		first, n := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "first")), rapid.IntRange(1, 100).Draw(t, "n")
		got := Backoff(first, n, rapid.Uint64().Draw(t, "random"))
		if got < 0 || got > longest || n == 1 && got > first {
			t.Fatalf("Backoff = %s", got)
		}
	})
}

func TestStatusesThatMayBeRetried(t *testing.T) {
	for code := 100; code < 600; code++ {
		want := code == 425 || code == 429 || code >= 502 && code <= 504
		if got := everything.Status(code); got != want {
			t.Errorf("%d: %t, want %t", code, got, want)
		}
		if On(0).Status(code) || Compile([]proxy.RetryOn{proxy.RetryConnect, proxy.RetryReset}).Status(code) {
			t.Errorf("%d is retried without being listed", code)
		}
	}
}
