package roster

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/proxy"
)

func TestChangesAreParsed(t *testing.T) {
	for _, tc := range []struct {
		target, verb string
		want         Change
		err          string
	}{
		{"web/192.0.2.1:80", "drain", Change{Pool: "web", Server: "192.0.2.1:80", Verb: SetDrain}, ""},
		{"web/a.internal:80/192.0.2.1", "ready", Change{Pool: "web", Server: "a.internal:80/192.0.2.1", Verb: SetReady}, ""},
		{"web/a", "weight=0", Change{Pool: "web", Server: "a", Verb: SetWeight}, ""},
		{"web/a", "weight=1001", Change{}, "weight 1001 is not from 0 to 1000"},
		{"web/a", "weight=-1", Change{}, "weight -1 is not from 0 to 1000"},
		{"web/a", "weight=x", Change{}, `weight "x" is not a number`},
		{"web/a", "weight", Change{}, "weight needs a number"},
		{"web/a", "drian", Change{}, `unknown change "drian", did you mean "drain"?`},
		{"web", "drain", Change{}, `"web" does not name a server of a pool`},
		{"web/", "drain", Change{}, `"web/" does not name a server of a pool`},
	} {
		got, err := ParseChange(tc.target, tc.verb)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s %s: %v, want %s", tc.target, tc.verb, err, tc.err)
			}
			continue
		}
		if err != nil || got != tc.want {
			t.Errorf("%s %s: %+v, %v", tc.target, tc.verb, got, err)
		}
	}
}

// Each script is one pool and a sequence of wishes; what is left of them is the
// difference to the config.
func TestOverlayIsTheDifferenceToTheConfig(t *testing.T) {
	spec := specOf(
		proxy.Pool{Name: "web", Servers: []proxy.Server{plain("192.0.2.1:80"), {Name: "big", Address: at("192.0.2.2:80"), Weight: 5}, named("a.internal:80")}},
		proxy.Pool{Name: "api", Discover: proxy.Discover{DNS: "api.internal:80"}},
	)
	answers := map[string]Answer{"api.internal:80": answer("192.0.2.50:80")}
	for name, tc := range map[string]struct {
		script string
		left   int // entries
		err    string
	}{
		"drain":                               {"web/192.0.2.1:80 drain", 1, ""},
		"drain and ready":                     {"web/192.0.2.1:80 drain; web/192.0.2.1:80 ready", 0, ""},
		"maint after drain":                   {"web/big drain; web/big maint", 1, ""},
		"the weight of the config":            {"web/big weight=9; web/big weight=5", 0, ""},
		"add and remove":                      {"web/192.0.2.7:80 add; web/192.0.2.7:80 remove", 0, ""},
		"remove and add":                      {"web/192.0.2.1:80 remove; web/192.0.2.1:80 add", 0, ""},
		"remove drops what was said before":   {"web/192.0.2.7:80 add; web/192.0.2.7:80 drain; web/192.0.2.7:80 remove", 0, ""},
		"a name without an answer":            {"web/a.internal:80 drain", 1, ""},
		"add a name":                          {"web/NEW.internal:80 add; web/new.internal:80 drain", 1, ""},
		"a discovered server":                 {"api/192.0.2.50:80 weight=3", 1, ""},
		"unknown pool":                        {"wbe/192.0.2.1:80 drain", 0, `unknown pool "wbe", did you mean "web"?`},
		"unknown pool like none":              {"shop/192.0.2.1:80 drain", 0, `unknown pool "shop", expected web or api`},
		"unknown server":                      {"web/192.0.2.9:80 drain", 0, `pool "web" has no server "192.0.2.9:80"`},
		"a removed server is not there":       {"web/192.0.2.1:80 remove; web/192.0.2.1:80 drain", 1, `has no server "192.0.2.1:80"`},
		"removed twice":                       {"web/192.0.2.1:80 remove; web/192.0.2.1:80 remove", 1, `has no server`},
		"added twice":                         {"web/192.0.2.7:80 add; web/192.0.2.7:80 add", 1, "has the server 192.0.2.7:80 already"},
		"added though the config has it":      {"web/192.0.2.2:80 add", 0, "has the server big already"},
		"added without a port":                {"web/192.0.2.7 add", 0, "neither ADDRESS:PORT nor NAME:PORT"},
		"added with the unspecified address":  {"web/0.0.0.0:80 add", 0, "not an address to connect to"},
		"added with a broken address":         {"web/192.0.2.300:80 add", 0, "neither ADDRESS:PORT nor NAME:PORT"},
		"added by a name that cannot be one":  {"web/a b:80 add", 0, "neither ADDRESS:PORT nor NAME:PORT"},
		"added with an impossible port":       {"web/a.internal:0 add", 0, "neither ADDRESS:PORT nor NAME:PORT"},
		"the address of a server with a name": {"web/192.0.2.2:80 drain", 1, ""},
		"drain by name, ready by address":     {"web/big drain; web/192.0.2.2:80 ready", 0, ""},
		"remove by name, add by address":      {"web/big remove; web/192.0.2.2:80 add", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var o Overlay
			var err error
			for line := range strings.SplitSeq(tc.script, "; ") {
				i := strings.LastIndexByte(line, ' ')
				c, perr := ParseChange(line[:i], line[i+1:])
				if perr != nil {
					t.Fatal(perr)
				}
				before := append(Overlay(nil), o...)
				var next Overlay
				next, err = o.With(c, spec, answers)
				if diff := cmp.Diff(before, append(Overlay(nil), o...)); diff != "" {
					t.Errorf("%s changed the overlay that it was given (-before +after):\n%s", line, diff)
				}
				if err != nil {
					break
				}
				o = next
			}
			switch {
			case tc.err == "" && err != nil:
				t.Error(err)
			case tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)):
				t.Errorf("got %v, want %s", err, tc.err)
			}
			if len(o) != tc.left {
				t.Errorf("left is %+v, want %d entries", o, tc.left)
			}
		})
	}
}

func TestReloadDropsWhatTheConfigSays(t *testing.T) {
	drain, five, six := proxy.Drain, 5, 6
	o := Overlay{
		{Pool: "gone", Server: "192.0.2.1:80", State: &drain},
		{Pool: "web", Server: "192.0.2.1:80", Weight: &five, State: &drain},
		{Pool: "web", Server: "192.0.2.2:80", Added: true},
		{Pool: "web", Server: "192.0.2.3:80", Removed: true},
		{Pool: "web", Server: "192.0.2.4:80", Weight: &six},
		{Pool: "web", Server: "192.0.2.5:80", Added: true, State: &drain},
		{Pool: "api", Server: "192.0.2.6:80", State: &drain},
	}
	first := plain("192.0.2.1:80")
	first.Weight = 5
	kept, dropped := o.Reconcile(specOf(
		proxy.Pool{Name: "web", Servers: []proxy.Server{first, plain("192.0.2.2:80"), plain("192.0.2.5:80")}},
		proxy.Pool{Name: "api", Discover: proxy.Discover{DNS: "api.internal:80"}},
	))
	want := Overlay{
		{Pool: "web", Server: "192.0.2.1:80", State: &drain},
		{Pool: "web", Server: "192.0.2.5:80", State: &drain},
		{Pool: "api", Server: "192.0.2.6:80", State: &drain},
	}
	if diff := cmp.Diff(want, kept); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	if len(dropped) != 4 {
		t.Errorf("dropped %+v", dropped)
	}
}
