package main

import (
	"strings"
	"testing"
)

func TestOptions(t *testing.T) {
	good := options{rounds: 1, seconds: 1}
	for _, test := range []struct {
		name   string
		change func(*options)
		err    string
	}{
		{"as they are", func(*options) {}, ""},
		{"no rounds", func(o *options) { o.rounds = 0 }, "-rounds 0: want 1 to 100"},
		{"too long", func(o *options) { o.seconds = 601 }, "-seconds 601: want 1 to 600"},
		{"a rate below zero", func(o *options) { o.rate = -1 }, "-rate -1: want"},
		{"no expression", func(o *options) { o.only = "(" }, `-only "("`},
		{"no such scenario", func(o *options) { o.only = "nothing" }, `-only "nothing": no scenario`},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := good
			test.change(&o)
			_, what, tunnels, err := o.choose(systems(nil))
			switch {
			case test.err == "" && (err != nil || len(what) != len(scenarios()) || !tunnels):
				t.Errorf("got %d scenarios, tunnels %v, %v; want everything", len(what), tunnels, err)
			case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
				t.Errorf("got %v, want %q", err, test.err)
			}
		})
	}
}
