package balance

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/tandemlb/tandem/proxy"
)

// placed returns who gets each of keys, when all are idle.
func placed(t *testing.T, f *fake, m []Member, keys int) []string {
	t.Helper()
	p := mustNew(t, proxy.ConsistentHash, m)
	var at []string
	for n := range keys {
		at = append(at, m[p.Pick(f, need(n))].ID)
	}
	return at
}

func moved(a, b []string) (n int) {
	for i := range a {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}

// When one of N goes, or is only not usable, exactly what it had moves.
func TestFewKeysMove(t *testing.T) {
	const keys = 50_000
	for _, n := range []int{3, 10, 100} {
		weights := slices.Repeat([]int{1}, n)
		f, m := members(weights...)
		before := placed(t, f, m, keys)
		gone := n / 2
		own := 0
		for _, id := range before {
			if id == m[gone].ID {
				own++
			}
		}
		if most := keys * 125 / 100 / n; own > most {
			t.Errorf("of %d, one has %d of %d keys, more than %d", n, own, keys, most)
		}

		f.unusable[gone] = true
		if got := moved(before, placed(t, f, m, keys)); got != own {
			t.Errorf("of %d, one is down: %d of %d keys move, want its %d", n, got, keys, own)
		}

		less, _ := members(weights[1:]...)
		rest := slices.Delete(slices.Clone(m), gone, gone+1)
		got := moved(before, placed(t, less, rest, keys))
		t.Logf("one of %d goes: %.2f/N of the keys move", n, float64(got)/keys*float64(n))
		if got != own {
			t.Errorf("of %d, one goes: %d of %d keys move, want its %d", n, got, keys, own)
		}
	}
}

// The order of the servers in the config does not matter: both nodes of a pair, and the
// node after a reload, choose alike.
func TestPlacesDoNotDependOnTheOrder(t *testing.T) {
	f, m := members(1, 1, 1, 1)
	before := placed(t, f, m, 10_000)
	slices.Reverse(m)
	if got := moved(before, placed(t, f, m, 10_000)); got != 0 {
		t.Errorf("%d of 10000 keys move when the order changes", got)
	}
}

func TestNobodyGetsMuchMoreThanItsShare(t *testing.T) {
	f, m := members(1, 1, 1, 1)
	p := mustNew(t, proxy.ConsistentHash, m)
	total := int64(0)
	for range 1000 { // all have the same key
		i := p.Pick(f, Need{Hash: 42})
		f.loads[i]++
		total++
		if most := (total*maxLoad + 399) / 400; f.loads[i] > most {
			t.Fatalf("%v in progress: more than %d of %d", f.loads, most, total)
		}
	}
}

func TestHashIsForEver(t *testing.T) {
	if got := Hash([]byte("192.0.2.1:80")); got != 0x2ec5af5215a33b57 {
		t.Errorf("Hash = %#x: all clients would move with an upgrade", got)
	}
}

func TestOneClientHasOneHash(t *testing.T) {
	one := netip.MustParseAddr("192.0.2.1")
	if HashClient(one) != HashClient(netip.MustParseAddr("::ffff:192.0.2.1")) {
		t.Error("the two forms of one address differ")
	}
	if HashClient(one) == HashClient(netip.MustParseAddr("192.0.2.2")) || HashClient(one) == HashClient(netip.MustParseAddr("2001:db8::1")) {
		t.Error("others have the same")
	}
}
