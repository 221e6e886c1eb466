package tickets

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// key is the key of that number, born some time after noon.
func key(n byte, after time.Duration) Key { return Key{Secret: Secret{n}, Born: noon.Add(after)} }

// numbers returns which keys are in a list.
func numbers[T ~[32]byte](secrets []T) string {
	var text []string
	for _, s := range secrets {
		text = append(text, fmt.Sprint(s[0]))
	}
	return strings.Join(text, " ")
}

func secrets(keys []Key) []Secret {
	var all []Secret
	for _, k := range keys {
		all = append(all, k.Secret)
	}
	return all
}

func TestTheFirstKeyMakesTickets(t *testing.T) {
	keys := []Key{key(1, -20*time.Hour), key(2, -8*time.Hour), key(3, -10*time.Second)}
	for name, tc := range map[string]struct {
		keys, peer []Key
		want       string
	}{
		"no key":                       {nil, nil, ""},
		"the only one":                 {keys[2:], nil, "3"},
		"the newest has yet to spread": {keys, nil, "2 3 1"},
		"the peer has it":              {keys, keys, "3 2 1"},
		"the peer has an older one":    {keys, keys[:1], "1 3 2"},
		"the peer has others":          {keys, []Key{key(9, 0)}, "2 3 1"},
		"none has spread":              {[]Key{key(4, -2*time.Second), key(3, -time.Second)}, nil, "3 4"},
		"what the peer has is too old": {[]Key{key(4, -25*time.Hour), key(3, -time.Hour)}, []Key{key(4, 0)}, "3 4"},
	} {
		var r Ring
		r.Merge(noon, tc.keys)
		if got := numbers(r.Order(noon, tc.peer)); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func TestMergeIsAUnion(t *testing.T) {
	var all []Key
	for i := range byte(20) {
		all = append(all, key(i+1, -time.Duration(i)*time.Hour))
	}
	again := all[5]
	again.Born = again.Born.Add(-30 * time.Minute) // the other node's clock is behind
	all = append(all, again)
	var want Ring
	want.Merge(noon, all)
	if len(want.keys) != maxKeys || want.keys[0] != all[0] || !slices.Contains(want.keys, again) {
		t.Fatalf("%d keys: %v", len(want.keys), want.keys)
	}
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		shuffled := slices.Clone(all)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		var a, b Ring
		cut := r.IntN(len(shuffled))
		a.Merge(noon, shuffled[:cut])
		b.Merge(noon, shuffled[cut:])
		said := b.Keys()
		b.Merge(noon, a.Keys())
		a.Merge(noon, said)
		if !slices.Equal(a.keys, want.keys) || !slices.Equal(b.keys, want.keys) {
			t.Fatalf("seed %d: %v and %v, want %v", seed, a.keys, b.keys, want.keys)
		}
		if a.Merge(noon, b.Keys()) {
			t.Fatalf("seed %d: the same keys are news", seed)
		}
	}
}

func TestAClockThatIsWrongDoesNoHarm(t *testing.T) {
	var r Ring
	r.Merge(noon, []Key{key(1, 100*365*24*time.Hour), key(2, -37*time.Hour), {Secret: Secret{3}}})
	if got := numbers(secrets(r.Keys())); got != "1" || !r.keys[0].Born.Equal(noon) {
		t.Fatalf("keys %s, the first born at %v", got, r.keys[0].Born)
	}
	t.Log("# said again, it is not born again")
	if r.Merge(noon.Add(time.Hour), []Key{key(1, 100*365*24*time.Hour)}) {
		t.Error("it is news")
	}
	t.Log("# it neither stops the rotation, nor lives on")
	if later := noon.Add(Rotation + jitter); !r.Due(later, "lb1") || r.Due(noon.Add(Rotation-time.Second), "lb1") {
		t.Error("the rotation is at another time")
	}
	if !r.Expire(noon.Add(Validity+time.Second)) || len(r.Keys()) != 0 {
		t.Error("it lives on")
	}
	t.Log("# the own clock is set back")
	r = Ring{}
	r.Merge(noon, []Key{key(1, 0)})
	back := noon.Add(-48 * time.Hour)
	r.Merge(back, []Key{{Secret: Secret{2}, Born: back}})
	if r.Due(back, "lb1") || !r.Due(back.Add(Rotation+jitter), "lb1") {
		t.Error("it is not rotated as always")
	}
}

func TestOneNodeMakesTheNewKey(t *testing.T) {
	var r Ring
	if !r.Due(noon, "lb1") {
		t.Error("without a key none is due")
	}
	r.Merge(noon, []Key{key(1, 0)})
	first := func(node string) time.Duration {
		for after := Rotation; ; after += time.Second {
			if r.Due(noon.Add(after), node) {
				return after
			}
		}
	}
	one, two := first("lb1"), first("lb2")
	if (one-two).Abs() < 5*time.Second || max(one, two) > Rotation+jitter+time.Second {
		t.Errorf("lb1 after %v, lb2 after %v", one, two)
	}
}

func TestSecretsDoNotShow(t *testing.T) {
	k := Key{Secret: Secret{0xde, 0xad}}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, k); strings.Contains(text, "222") || strings.Contains(strings.ToLower(text), "de, 0xad") || !strings.Contains(text, "secret") {
			t.Errorf("%s: %s", format, text)
		}
	}
	if k.Secret.ID() == (Secret{}).ID() || len(k.Secret.ID().String()) != 16 {
		t.Errorf("named %s", k.Secret.ID())
	}
}

func TestWhatNoNodeSaysIsRefused(t *testing.T) {
	if err := Validate([]Key{key(1, 0)}); err != nil {
		t.Error(err)
	}
	if Validate(make([]Key, 1)) == nil {
		t.Error("a secret that everybody knows is accepted")
	}
	many := slices.Repeat([]Key{key(1, 0)}, MaxSaid+1)
	if Validate(many) == nil {
		t.Error("too many are accepted")
	}
}

func FuzzKeys(f *testing.F) {
	good, err := json.Marshal([]Key{key(1, 0)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`[{"Secret":"AAAA"}]`))
	f.Add([]byte(`[{"Secret":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","Born":"9999-12-31T23:59:59Z"}]`))
	f.Add([]byte(`[{"Secret":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","Born":"0001-01-01T00:00:00Z"}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var keys []Key
		if json.Unmarshal(b, &keys) != nil || Validate(keys) != nil {
			return
		}
		var r Ring
		r.Merge(noon, keys)
		for _, k := range r.Keys() {
			if age := noon.Sub(k.Born); age < 0 || age > Validity {
				t.Errorf("%q: a key of the age %v", b, age)
			}
		}
		if len(r.Order(noon, nil)) != len(r.Keys()) || len(r.Keys()) > maxKeys {
			t.Errorf("%q: %d keys, %d in order", b, len(r.Keys()), len(r.Order(noon, nil)))
		}
		if r.Merge(noon, r.Keys()) {
			t.Errorf("%q: its own keys are news", b)
		}
	})
}
