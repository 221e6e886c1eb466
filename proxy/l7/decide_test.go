package l7

import (
	"testing"

	"pgregory.net/rapid"
)

func TestDecide(t *testing.T) {
	race := failure{phase: head, cause: serverBroke, reused: true, untouched: true, whole: true, repeatable: true}
	but := func(change func(*failure)) failure {
		f := race
		change(&f)
		return f
	}
	tests := []struct {
		name string
		f    failure
		want action
	}{
		{"malformed body", failure{phase: send, cause: clientBad}, action{status: statusBadRequest}},
		{"malformed body, the request sent", failure{phase: head, cause: clientBad}, action{status: statusBadRequest}},
		{"slow client", failure{phase: send, cause: clientSlow}, action{status: statusRequestTimeout}},
		{"body too large", failure{phase: send, cause: clientTooBig}, action{status: statusContentTooLarge}},
		{"client left", failure{phase: head, cause: clientGone}, action{}},
		{"client left while connecting", failure{phase: connect, cause: clientGone}, action{}},
		{"no server", failure{phase: pick, cause: noServer}, action{status: statusServiceUnavailable}},
		{"connect failed", failure{phase: connect, cause: serverBroke}, action{again: true}},
		{"connect timed out", failure{phase: connect, cause: serverLate}, action{again: true}},
		{"connect failed, no other server", failure{phase: connect, cause: serverBroke, exhausted: true}, action{status: statusBadGateway}},
		{"connect timed out, no other server", failure{phase: connect, cause: serverLate, exhausted: true}, action{status: statusGatewayTimeout}},
		{"broke on a new connection", failure{phase: head, cause: serverBroke, untouched: true, whole: true, repeatable: true}, action{status: statusBadGateway}},
		{"no answer in time", failure{phase: head, cause: serverLate, reused: true, untouched: true, whole: true, repeatable: true}, action{status: statusGatewayTimeout}},
		{"bad response", failure{phase: head, cause: serverBad}, action{status: statusBadGateway}},
		{"response begun", failure{phase: stream, cause: serverBroke}, action{}},
		{"shut down", failure{phase: head, cause: shutDown}, action{}},

		{"keep-alive race", race, action{again: true, same: true}},
		{"race while sending", but(func(f *failure) { f.phase = send }), action{again: true, same: true}},
		{"race, not repeatable", but(func(f *failure) { f.repeatable = false }), action{status: statusBadGateway}},
		{"race, not repeatable, nothing sent", but(func(f *failure) { f.repeatable, f.unsent = false, true }), action{again: true, same: true}},
		{"race, body consumed", but(func(f *failure) { f.whole = false }), action{status: statusBadGateway}},
		{"race, response begun", but(func(f *failure) { f.untouched = false }), action{status: statusBadGateway}},
		{"raced before", but(func(f *failure) { f.raced = true }), action{status: statusBadGateway}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := decide(tt.f); got != tt.want {
				t.Errorf("decide = %+v, want %+v", got, tt.want)
			}
		})
	}
}

// Whatever is known, nothing is sent again once a client has seen a response, or a
// server may have acted on what must not be done twice.
func TestDecideNeverRepeatsWhatCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.Bool()
		f := failure{
			phase: phase(rapid.IntRange(int(read), int(stream)).Draw(t, "phase")), cause: cause(rapid.IntRange(int(serverBroke), int(shutDown)).Draw(t, "cause")),
			reused: b.Draw(t, "reused"), untouched: b.Draw(t, "untouched"), unsent: b.Draw(t, "unsent"), whole: b.Draw(t, "whole"),
			repeatable: b.Draw(t, "repeatable"), raced: b.Draw(t, "raced"), exhausted: b.Draw(t, "exhausted"),
		}
		a := decide(f)
		if a.again && a.status != 0 {
			t.Fatalf("%+v: both again and %d", f, a.status)
		}
		if a.again && f.phase > connect && !(f.reused && f.untouched && f.whole && !f.raced && (f.unsent || f.repeatable)) {
			t.Fatalf("%+v: sent again", f)
		}
		if f.phase == stream && a != (action{}) {
			t.Fatalf("%+v: %+v after the response began", f, a)
		}
	})
}
