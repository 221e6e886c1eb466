package tlsconn

import (
	"errors"
	"io"
	"testing"

	"github.com/tandemlb/tandem/proxy/reactor"
)

func TestRecordsThatMayBeKept(t *testing.T) {
	one := func(length int) []byte {
		return append([]byte{23, 3, 3, byte(length >> 8), byte(length)}, make([]byte, length)...)
	}
	two := append(one(300), one(0)...)
	for _, tt := range []struct {
		name   string
		pieces [][]byte
		whole  int
		part   bool
	}{
		{"nothing", nil, 0, false},
		{"one", [][]byte{one(40)}, 1, false},
		{"one that is empty", [][]byte{one(0)}, 1, false},
		{"two at once", [][]byte{two}, 2, false},
		{"a header in pieces", [][]byte{two[:2], two[2:4]}, 0, true},
		{"a header without what follows", [][]byte{two[:5]}, 0, true},
		{"one and the beginning of another", [][]byte{two[:306]}, 1, true},
		{"one in pieces", [][]byte{two[:3], two[3:200], two[200:305]}, 1, false},
	} {
		var r records
		for _, p := range tt.pieces {
			r.take(p)
		}
		if r.whole != tt.whole || r.part != tt.part {
			t.Errorf("%s: %d whole, part %v; want %d, %v", tt.name, r.whole, r.part, tt.whole, tt.part)
		}
	}
}

// However bytes are cut into pieces, what is known of their end is the same.
func FuzzRecords(f *testing.F) {
	f.Add([]byte{23, 3, 3, 0, 2, 1, 2, 23, 3, 3, 0, 0, 23}, uint8(3))
	f.Fuzz(func(t *testing.T, b []byte, piece uint8) {
		var all, cut records
		all.take(b)
		for rest := b; len(rest) > 0; {
			k := min(len(rest), 1+int(piece))
			cut.take(rest[:k])
			rest = rest[k:]
		}
		if all != cut {
			t.Errorf("at once %+v, in pieces of %d: %+v", all, 1+int(piece), cut)
		}
	})
}

func TestALookAtAConnectionWithoutNewsCostsNothing(t *testing.T) {
	serverConfig, clientConfig := certificate(t)
	allocations := make(chan float64, 10)
	_, addr := serve(t, serverConfig, func(c *Conn) bool {
		var b [1000]byte
		for {
			n, err := c.TryRead(b[:])
			if err != nil {
				return errors.Is(err, reactor.ErrWouldBlock)
			}
			allocations <- testing.AllocsPerRun(100, func() {
				if _, err := c.TryRead(b[n:]); err != reactor.ErrWouldBlock { //nolint:errorlint // never wrapped
					t.Error(err)
				}
			})
			if _, err := c.Write(b[:n]); err != nil {
				return false
			}
		}
	})
	_, c := connect(t, addr, clientConfig)
	if err := errors.Join(ask(c, "one"), ask(c, "two")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if n := receive(t, "a look", allocations); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
	// Nothing is kept from whoever asks.
	c.CloseWrite()
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
}
