package vmac

import (
	"maps"
	"testing"
)

// FuzzMark reads the alias of an interface, which anybody may have set.
func FuzzMark(f *testing.F) {
	f.Add("tandem: ipv4/arp_announce=0 ipv4/arp_ignore=0")
	f.Add("tandem: ipv4/arp_ignore= x=1 ../../kernel=1")
	f.Add("somebody's")
	f.Fuzz(func(t *testing.T, alias string) {
		s, ok := parseMark(alias)
		if !ok {
			return
		}
		for key := range s {
			if _, known := parentSettings[key]; !known {
				t.Errorf("%q would set %q", alias, key)
			}
		}
		if again, ok := parseMark(s.mark()); !ok || !maps.Equal(again, s) {
			t.Errorf("%v is read again as %v", s, again)
		}
	})
}
