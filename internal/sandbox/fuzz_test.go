package sandbox

import "testing"

func FuzzState(f *testing.F) {
	f.Add("Uid:\t1\t2\t2\t2\nCapInh:\t0\nCapPrm:\t0\nCapEff:\t0\nCapBnd:\tff\nCapAmb:\t0\nNoNewPrivs:\t1\nSeccomp:\t2\n")
	f.Add("Uid:\nCapEff: x")
	f.Fuzz(func(t *testing.T, text string) {
		var s State
		if err := s.parse(text); err != nil && (s.UID != 0 || s.Capabilities != "" || s.NoNewPrivs || s.Seccomp) {
			t.Errorf("%q is refused, and says %+v", text, s)
		}
	})
}
