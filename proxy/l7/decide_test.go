package l7

import "testing"

func TestDecide(t *testing.T) {
	cut := action{}
	again := action{again: true}
	status := func(code int) action { return action{status: code} }
	tests := []struct {
		name string
		f    failure
		want action
	}{
		{"request that cannot be forwarded", failure{phase: read}, status(400)},
		{"nobody to pick", failure{phase: pick, exhausted: true}, status(503)},
		{"connect failed", failure{phase: connect}, again},
		{"connect timed out", failure{phase: connect, timeout: true}, again},
		{"connect failed everywhere", failure{phase: connect, exhausted: true}, status(502)},
		{"connect timed out everywhere", failure{phase: connect, timeout: true, exhausted: true}, status(504)},
		{"broken while sending", failure{phase: send}, status(502)},
		{"timed out while sending", failure{phase: send, timeout: true}, status(504)},
		{"no response head", failure{phase: head}, status(502)},
		{"response head timed out", failure{phase: head, timeout: true}, status(504)},
		{"response broke off", failure{phase: stream}, cut},
		{"response broke off, timeout", failure{phase: stream, timeout: true}, cut},
		{"malformed body while sending", failure{phase: send, malformed: true}, status(400)},
		{"malformed body behind the response head", failure{phase: stream, malformed: true}, cut},
		{"client left while connecting", failure{phase: connect, gone: true}, cut},
		{"client left while sending", failure{phase: send, gone: true}, cut},
		{"client left while waiting", failure{phase: head, gone: true, timeout: true}, cut},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := decide(tt.f); got != tt.want {
				t.Errorf("decide(%+v) = %+v, want %+v", tt.f, got, tt.want)
			}
		})
	}
}

// Whatever else is known: once something may have been sent, there is no second
// attempt.
func TestDecideNeverRepeatsWhatWasSent(t *testing.T) {
	for p := read; p <= stream; p++ {
		for bits := range 1 << 4 {
			f := failure{
				phase: p,
				gone:  bits&1 != 0, malformed: bits&2 != 0, timeout: bits&4 != 0, exhausted: bits&8 != 0,
			}
			a := decide(f)
			if a.again && (p != connect || f.gone || f.exhausted) {
				t.Errorf("%+v: tried again", f)
			}
			if a.again && a.status != 0 {
				t.Errorf("%+v: both tried again and answered with %d", f, a.status)
			}
		}
	}
}
