package upstream

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandemlb/tandem/proxy"
)

var (
	start   = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	address = netip.MustParseAddrPort("192.0.2.1:80")
	checked = proxy.Check{Kind: proxy.CheckHTTP, Rise: 2, Fall: 3}
	nothing = proxy.Check{}
)

// serverWith returns the server of a pool that has no other.
func serverWith(check proxy.Check) *Server {
	p, err := NewPool(proxy.Pool{Name: "web", Check: check, Servers: []proxy.Server{{Name: "a", Address: address, Weight: 1}}}, nil, start)
	if err != nil {
		panic(err)
	}
	return p.Servers()[0]
}

// A script is played one word a second: pass and fail are checks, conn and
// refused are connects; a number lets that many seconds pass.
func play(s *Server, script string) (now time.Time, transcript []string) {
	now = start
	for _, word := range strings.Fields(script) {
		now = now.Add(time.Second)
		var v Verdict
		switch word {
		case "pass":
			v = s.CheckPassed(now, "passed")
		case "fail":
			v = s.CheckFailed(now, "failed")
		case "conn":
			v = s.Connected(now)
		case "refused":
			v = s.ConnectFailed(now, "refused")
		default:
			var seconds int
			if _, err := fmt.Sscan(word, &seconds); err != nil {
				panic("unknown word " + word)
			}
			now = now.Add(time.Duration(seconds-1) * time.Second)
		}
		line := word + ": " + s.Status(now).Health.String()
		if v.Changed {
			line += " changed"
		}
		if v.Check {
			line += " check"
		}
		transcript = append(transcript, line)
	}
	return now, transcript
}

func TestHealth(t *testing.T) {
	tests := []struct {
		name   string
		check  proxy.Check
		script string
		want   []string
	}{
		{"first good check decides", checked, "pass", []string{"pass: up changed"}},
		{"first failed check decides", checked, "fail", []string{"fail: down changed"}},
		{"first failed connect decides", checked, "refused", []string{"refused: down changed check"}},
		{"falls after three failures", checked, "pass fail fail fail", []string{
			"pass: up changed", "fail: up", "fail: up", "fail: down changed",
		}},
		{"a good check ends the streak of failures", checked, "pass fail fail pass fail fail fail", []string{
			"pass: up changed", "fail: up", "fail: up", "pass: up", "fail: up", "fail: up", "fail: down changed",
		}},
		{"rises after two good checks", checked, "fail pass pass", []string{
			"fail: down changed", "pass: down", "pass: up changed",
		}},
		{"a failure ends the streak of good checks", checked, "fail pass fail pass pass", []string{
			"fail: down changed", "pass: down", "fail: down", "pass: down", "pass: up changed",
		}},
		{"failed connects count like failed checks", checked, "pass refused fail refused", []string{
			"pass: up changed", "refused: up check", "fail: up", "refused: down changed check",
		}},
		{"a connect ends the streak of failed connects", checked, "pass refused refused conn refused refused", []string{
			"pass: up changed", "refused: up check", "refused: up check", "conn: up", "refused: up check", "refused: up check",
		}},
		{"a connect does not hide failed checks", checked, "pass fail fail conn fail", []string{
			"pass: up changed", "fail: up", "fail: up", "conn: up", "fail: down changed",
		}},
		{"with a check a connect proves nothing", checked, "conn fail conn", []string{
			"conn: unknown", "fail: down changed", "conn: down",
		}},
		{"late connects of a server that is down ask for nothing", checked, "fail refused pass pass", []string{
			"fail: down changed", "refused: down", "pass: down", "pass: up changed",
		}},
		{"with a check, down does not end by itself", checked, "fail 3600", []string{
			"fail: down changed", "3600: down",
		}},

		{"unchecked: a connect proves it up", nothing, "conn", []string{"conn: up changed"}},
		{"unchecked: set aside after three refusals, for 5 s", nothing, "conn refused refused refused 4 1", []string{
			"conn: up changed", "refused: up", "refused: up", "refused: down changed", "4: down", "1: unknown",
		}},
		{"unchecked: a connect ends the streak", nothing, "refused refused conn refused refused", []string{
			"refused: unknown", "refused: unknown", "conn: up changed", "refused: up", "refused: up",
		}},
		{"unchecked: tried again, refused again", nothing, "refused refused refused 5 refused 5 conn", []string{
			"refused: unknown", "refused: unknown", "refused: down changed", "5: unknown", "refused: down changed", "5: unknown", "conn: up changed",
		}},
		{"unchecked: late refusals do not lengthen it", nothing, "refused refused refused refused refused 3", []string{
			"refused: unknown", "refused: unknown", "refused: down changed", "refused: down", "refused: down", "3: unknown",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, got := play(serverWith(tt.check), tt.script)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("transcript (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHealthEvidence(t *testing.T) {
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	tests := []struct {
		name   string
		check  proxy.Check
		script string
		want   Status
	}{
		{"new", checked, "", Status{Weight: 1, Health: Unknown, Since: start, Reason: "nothing heard yet"}},
		{"up", checked, "pass pass", Status{Weight: 1, Health: Up, Since: at(1), Reason: "passed"}},
		{"about to fall", checked, "pass fail fail", Status{Weight: 1, Health: Up, Since: at(1), Reason: "failed (2 of 3 failures)"}},
		{"down", checked, "pass fail fail fail fail", Status{Weight: 1, Health: Down, Since: at(4), Reason: "failed"}},
		{"about to rise", checked, "fail pass", Status{Weight: 1, Health: Down, Since: at(1), Reason: "passed (1 of 2 good checks)"}},
		{"refused once", nothing, "conn refused", Status{Weight: 1, Health: Up, Since: at(1), Reason: "refused (1 of 3 failures)", Failed: 1}},
		{"set aside", nothing, "refused refused refused", Status{Weight: 1, Health: Down, Since: at(3), Reason: "refused", Failed: 3}},
		{"back", nothing, "refused refused refused 10", Status{Weight: 1, Health: Unknown, Since: at(8), Reason: "tried again after: refused", Failed: 3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serverWith(tt.check)
			now, _ := play(s, tt.script)
			if diff := cmp.Diff(tt.want, s.Status(now)); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
		})
	}
}

// Eligible answers from an atomic word, Status from the state machine: the two
// must agree after every event, with and without a Status in between.
func TestEligibleAgreesWithHealth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		check := rapid.SampledFrom([]proxy.Check{checked, nothing}).Draw(t, "check")
		words := []string{"conn", "refused", "1", "5"}
		if check == checked {
			words = append(words, "pass", "fail")
		}
		script := rapid.SliceOfN(rapid.SampledFrom(words), 0, 30).Draw(t, "script")
		s := serverWith(check)
		now, _ := play(s, strings.Join(script, " "))
		for range 7 {
			eligible := s.Eligible(now)
			if health := s.Status(now).Health; eligible != (health != Down) {
				t.Fatalf("after %v and %v: eligible %v while %v", script, now.Sub(start), eligible, health)
			}
			now = now.Add(time.Second)
		}
	})
}

func TestCounters(t *testing.T) {
	s := serverWith(nothing)
	p := s.pool.Load()
	a := &Ask{Now: start}
	for range 4 {
		if _, r := p.Pick(a); r != Picked {
			t.Fatal(r)
		}
	}
	s.End(start, Outcome{})
	s.End(start, Outcome{Result: Neutral})
	s.Abandon(start)
	s.Broke()
	want := Status{Since: start, Reason: "nothing heard yet", Active: 1, Served: 2, Failed: 1, Weight: 1}
	if diff := cmp.Diff(want, s.Status(start)); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}
