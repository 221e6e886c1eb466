package ratelimit

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandemlb/tandem/proxy"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func limiter(requests int, per time.Duration, burst, keys int) *Limiter {
	return New(proxy.RateLimit{Requests: requests, Per: per, Burst: burst}, keys, maphash.MakeSeed(), epoch)
}

func key(i int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)) }

// size returns for how many buckets there is room, and for how many there can be.
func (l *Limiter) size() (now, most int) {
	for i := range l.shards {
		now += len(l.shards[i].sets) * ways
		most += l.shards[i].most * ways
	}
	return now, most
}

func TestBurstThenRate(t *testing.T) {
	for _, k := range [][]byte{[]byte("client"), nil} {
		t.Run(fmt.Sprintf("key %q", k), func(t *testing.T) {
			l := limiter(10, time.Second, 3, 0)
			steps := []struct {
				at   time.Duration
				ok   bool
				wait time.Duration
			}{
				{0, true, 0}, {0, true, 0}, {0, true, 0},
				{0, false, 100 * time.Millisecond},
				{60 * time.Millisecond, false, 40 * time.Millisecond},
				{99999999, false, 1},
				{100 * time.Millisecond, true, 0},
				{100 * time.Millisecond, false, 100 * time.Millisecond},
				{250 * time.Millisecond, true, 0},
				{250 * time.Millisecond, false, 50 * time.Millisecond},
				{time.Minute, true, 0}, {time.Minute, true, 0}, {time.Minute, true, 0}, // no more than the burst is saved up
				{time.Minute, false, 100 * time.Millisecond},
				{time.Second, false, 59*time.Second + 100*time.Millisecond}, // a clock that was set back gives nothing away
			}
			for i, s := range steps {
				if ok, wait := l.Allow(epoch.Add(s.at), k); ok != s.ok || wait != s.wait {
					t.Errorf("step %d, at %v: %v, wait %v; want %v, %v", i, s.at, ok, wait, s.ok, s.wait)
				}
			}
		})
	}
}

func TestKeysDoNotShare(t *testing.T) {
	l := limiter(1, time.Hour, 1, 0)
	for i := range 1000 {
		if ok, _ := l.Allow(epoch, key(i)); !ok {
			t.Fatalf("key %d is refused at first", i)
		}
	}
	for i := range 1000 {
		if ok, wait := l.Allow(epoch, key(i)); ok || wait != time.Hour {
			t.Fatalf("key %d is allowed twice: %v, %v", i, ok, wait)
		}
	}
	if ok, _ := l.Allow(epoch, nil); !ok {
		t.Error("the empty key shares with others")
	}
}

// bucketOfTokens is the limit as one would explain it. A token is so many units as it
// takes nanoseconds to come.
type bucketOfTokens struct {
	token, full, level int64
	at                 time.Duration
}

func (b *bucketOfTokens) allow(at time.Duration) (bool, time.Duration) {
	b.level, b.at = min(b.level+int64(at-b.at), b.full), at
	if b.level < b.token {
		return false, time.Duration(b.token - b.level)
	}
	b.level -= b.token
	return true, 0
}

func TestLimiterIsABucketOfTokensForEachKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		requests := rapid.IntRange(1, 1000).Draw(t, "requests")
		per := time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(24*time.Hour)).Draw(t, "per"))
		burst := rapid.IntRange(1, 20).Draw(t, "burst")
		l := limiter(requests, per, burst, 0)
		token := (int64(per) + int64(requests) - 1) / int64(requests)
		naive := map[int]*bucketOfTokens{}
		at := time.Duration(0)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			// About as long as a token takes, so that some are refused and some are not.
			at += time.Duration(rapid.Int64Range(0, 2*token).Draw(t, "step"))
			k := rapid.IntRange(0, 5).Draw(t, "key")
			if naive[k] == nil {
				naive[k] = &bucketOfTokens{token, int64(burst) * token, int64(burst) * token, at}
			}
			name := key(k)
			if k == 0 {
				name = nil
			}
			want, wantWait := naive[k].allow(at)
			if ok, wait := l.Allow(epoch.Add(at), name); ok != want || wait != wantWait {
				t.Fatalf("key %d at %v: %v, wait %v; want %v, %v", k, at, ok, wait, want, wantWait)
			}
			if wantWait > 1 {
				if ok, wait := l.Allow(epoch.Add(at+wantWait-1), name); ok || wait != 1 {
					t.Fatalf("key %d is allowed before its time: %v, %v", k, ok, wait)
				}
			}
		}
	})
}

func TestLongestWaitIsThatOfTheRate(t *testing.T) {
	// 1e9 tokens that take a day each would overflow.
	l := limiter(1, 24*time.Hour, 1_000_000_000, 0)
	for i := range 10_000 {
		if ok, wait := l.Allow(epoch, []byte("k")); !ok {
			t.Fatalf("request %d is to wait for %v", i, wait)
		}
	}
	if ok, wait := limiter(1_000_000_000, time.Millisecond, 1, 0).Allow(epoch, []byte("k")); !ok || wait != 0 {
		t.Errorf("the first request is to wait for %v", wait)
	}
}

func TestTimeBeforeTheEpochIsTheEpoch(t *testing.T) {
	l := limiter(1, time.Second, 1, 0)
	for i, want := range []bool{true, false} {
		if ok, _ := l.Allow(epoch.Add(-time.Hour), []byte("k")); ok != want {
			t.Errorf("request %d: %v", i, ok)
		}
	}
}

func TestFloodOfKeysFreesNoneThatIsLimited(t *testing.T) {
	const limited = 40 // few enough that hardly ever more than sixteen meet in two sets
	l := limiter(1, time.Minute, 5, 256)
	for i := range limited {
		for range 5 {
			l.Allow(epoch, key(i))
		}
	}
	now := epoch
	for i := range 100_000 {
		now = now.Add(time.Microsecond)
		if ok, wait := l.Allow(now, key(1000+i)); !ok {
			t.Fatalf("key %d, which is new, is to wait for %v", i, wait)
		}
	}
	for i := range limited {
		if ok, _ := l.Allow(now, key(i)); ok {
			t.Errorf("key %d is free again", i)
		}
	}
	if have, most := l.size(); have > most || most > 512 {
		t.Errorf("there is room for %d buckets, of at most %d", have, most)
	}
	if l.Forgotten() < 99_000 {
		t.Errorf("%d buckets are said to be forgotten", l.Forgotten())
	}
}

func TestNewKeysAreLimitedDuringAFlood(t *testing.T) {
	l := limiter(1, time.Minute, 5, 256)
	for i := range 10_000 {
		l.Allow(epoch, key(i))
	}
	for i := range 6 {
		if ok, _ := l.Allow(epoch, []byte("new")); ok != (i < 5) {
			t.Errorf("request %d: %v", i, ok)
		}
	}
}

func TestNewKeysGiveWayToThoseThatAreLimited(t *testing.T) {
	l := limiter(1, time.Minute, 5, 256)
	for i := range 10_000 {
		for range 5 {
			l.Allow(epoch, key(i))
		}
	}
	limited := func() (all []int) {
		for i := range l.shards {
			for _, s := range l.shards[i].sets {
				for _, b := range s {
					if b.full == int64(5*time.Minute) {
						all = append(all, int(b.hash))
					}
				}
			}
		}
		return all
	}
	before := limited()
	for i := range 10_000 {
		l.Allow(epoch, key(20_000+i))
	}
	if diff := cmp.Diff(before, limited()); diff != "" || len(before) < 200 {
		t.Errorf("%d limited keys have changed (-before +after):\n%s", len(before), diff)
	}
}

func TestMemoryGrowsWithTheKeysThatAreNotFull(t *testing.T) {
	l := limiter(1, time.Second, 1, 0)
	if have, _ := l.size(); have != 0 {
		t.Fatalf("a new limiter has room for %d keys already", have)
	}
	now := epoch
	for round := range 100 {
		for i := range 1000 {
			if ok, _ := l.Allow(now, key(1000*round+i)); !ok {
				t.Fatalf("a new key is refused in round %d", round)
			}
		}
		now = now.Add(time.Second) // all are full again
	}
	if have, _ := l.size(); have > 8192 {
		t.Errorf("there is room for %d keys, with 1000 at a time", have)
	}
	if n := l.Forgotten(); n > 0 {
		t.Errorf("%d buckets are forgotten", n)
	}
}

func TestNearlyAllOfTheKeysFit(t *testing.T) {
	l := limiter(1, time.Hour, 1, 16<<10)
	for i := range 16 << 10 {
		l.Allow(epoch, key(i))
	}
	// Some shards get more than their part.
	if have, most := l.size(); l.Forgotten() > 1<<10 || have != most || most != 16<<10 {
		t.Errorf("%d of %d keys are forgotten, with room for %d of %d", l.Forgotten(), 16<<10, have, most)
	}
}

func TestConcurrentRequestsShareTheBurst(t *testing.T) {
	const burst = 1000
	for _, k := range [][]byte{[]byte("client"), nil} {
		l := limiter(1, time.Hour, burst, 0)
		var allowed atomic.Int64
		var all sync.WaitGroup
		for g := range 8 {
			all.Go(func() {
				for i := range burst {
					l.Allow(epoch, key(g*burst+i)) // others, which make the shards grow
					if ok, _ := l.Allow(epoch, k); ok {
						allowed.Add(1)
					}
				}
			})
		}
		all.Wait()
		if n := allowed.Load(); n != burst {
			t.Errorf("key %q: %d of %d requests are allowed, want %d", k, n, 8*burst, burst)
		}
	}
}

func TestLimitIsKept(t *testing.T) {
	want := proxy.RateLimit{Requests: 5, Per: time.Second, Burst: 7, By: proxy.Key{Kind: proxy.KeyHeader, Name: "x"}}
	if got := New(want, 0, maphash.MakeSeed(), epoch).Limit(); got != want {
		t.Errorf("the limit is %+v", got)
	}
}

func TestClientsAreKnownByTheirNetwork(t *testing.T) {
	tests := []struct {
		a, b  string
		equal bool
	}{
		{"192.0.2.1", "192.0.2.1", true}, {"192.0.2.1", "192.0.2.2", false}, {"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true}, {"2001:db8:0:1::1", "2001:db8:0:2::1", false}, {"fe80::1%a", "fe80::2%b", true},
	}
	for _, tt := range tests {
		a, b := AppendClient([]byte("c"), netip.MustParseAddr(tt.a)), AppendClient([]byte("c"), netip.MustParseAddr(tt.b))
		if (string(a) == string(b)) != tt.equal || a[0] != 'c' {
			t.Errorf("keys of %s and %s: %x, %x", tt.a, tt.b, a, b)
		}
	}
}

func TestAllowAllocatesNothing(t *testing.T) {
	l := limiter(100, time.Second, 10, 256)
	keys := make([][]byte, 4096)
	for i := range keys {
		keys[i] = key(i)
		l.Allow(epoch, keys[i])
	}
	i := 0
	if n := testing.AllocsPerRun(10_000, func() { l.Allow(epoch, keys[i&4095]); l.Allow(epoch, nil); i++ }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
