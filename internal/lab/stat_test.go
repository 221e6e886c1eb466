package lab

import "testing"

func TestParentIn(t *testing.T) {
	for _, test := range []struct {
		name, stat string
		want       int
		ok         bool
	}{
		{"plain", "42 (sh) S 7 42 42", 7, true},
		{"spaces and parentheses in the name", "42 (a) b (c)) R 9 1 1", 9, true},
		{"a name like fields", "42 (x) S 1 2) S 8 1 1", 8, true},
		{"cut short", "42 (sh) S", 0, false},
		{"no number", "42 (sh) S x 1", 0, false},
		{"empty", "", 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, ok := parentIn([]byte(test.stat)); got != test.want || ok != test.ok {
				t.Errorf("got %d, %v; want %d, %v", got, ok, test.want, test.ok)
			}
		})
	}
}
