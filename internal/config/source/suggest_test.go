package source

import (
	"fmt"
	"strings"
	"testing"
)

func TestDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"check", "check", 0},
		{"chekc", "check", 1},
		{"chck", "check", 1},
		{"checkk", "check", 1},
		{"chick", "check", 1},
		{"hcekc", "check", 2},
		{"ca", "abc", 3},
		{"prüfen", "prufen", 1},
		{"kitten", "sitting", 3},
	}
	for _, tt := range tests {
		t.Run(tt.a+" "+tt.b, func(t *testing.T) {
			if got := distance(tt.a, tt.b); got != tt.want {
				t.Errorf("distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
			}
			if got := distance(tt.b, tt.a); got != tt.want {
				t.Errorf("distance(%q, %q) = %d, want %d", tt.b, tt.a, got, tt.want)
			}
		})
	}
}

func TestSuggestionOnlyWhenNear(t *testing.T) {
	keys := []string{"bind", "protocol", "pool", "servers", "check"}
	tests := []struct{ name, got, want string }{
		{"a letter missing", "serves", `, did you mean "servers"?`},
		{"letters swapped", "chekc", `, did you mean "check"?`},
		{"capitals", "Bind", `, did you mean "bind"?`},
		{"two slips in a long word", "portocoll", `, did you mean "protocol"?`},
		{"two slips in a short word", "bnid5", ""},
		{"another word", "tls", ""},
		{"nothing", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Suggestion(tt.got, keys); got != tt.want {
				t.Errorf("Suggestion(%q) = %q, want %q", tt.got, got, tt.want)
			}
		})
	}
	if got := Suggestion("lb3", []string{"lb1", "lb2"}); got != "" {
		t.Errorf("suggestion between two equally near names = %q, want none", got)
	}
}

func TestInsteadOfManyListsSome(t *testing.T) {
	var names []string
	for i := range most + 5 {
		names = append(names, fmt.Sprintf("name-%d", i))
	}
	got := Instead("other", names)
	if !strings.HasPrefix(got, ", expected name-0, name-1, ") || !strings.HasSuffix(got, ", name-29 or one of 5 more") {
		t.Errorf("Instead = %q", got)
	}
}

func TestEnumerate(t *testing.T) {
	tests := []struct {
		words []string
		want  string
	}{
		{nil, ""},
		{[]string{"a"}, "a"},
		{[]string{"a", "b"}, "a or b"},
		{[]string{"a", "b", "c"}, "a, b or c"},
	}
	for _, tt := range tests {
		if got := Enumerate(tt.words, "or"); got != tt.want {
			t.Errorf("Enumerate(%q) = %q, want %q", tt.words, got, tt.want)
		}
	}
}
