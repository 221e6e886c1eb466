package stats

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

// bucketByLogarithm is what bucketOf must come to, in exact numbers: the eighth power of
// a duration in seconds is compared with a power of two.
func bucketByLogarithm(d time.Duration) int {
	if d <= 0 {
		return 0
	}
	// ns^8 <= 1e9^8 * 2^i
	n := new(big.Int).Exp(big.NewInt(int64(d)), big.NewInt(8), nil)
	unit := new(big.Int).Exp(big.NewInt(1e9), big.NewInt(8), nil)
	for i := 0; i <= Last; i++ {
		left, right, power := n, unit, i+NativeOffset
		if power < 0 {
			left = new(big.Int).Lsh(n, uint(-power))
		} else {
			right = new(big.Int).Lsh(unit, uint(power))
		}
		if left.Cmp(right) <= 0 {
			return i
		}
	}
	return Overflow
}

func TestBucketsAreThoseOfThePowers(t *testing.T) {
	durations := []time.Duration{math.MinInt64, -1, 0, 1, 953, 954, time.Second, 1024 * time.Second, 1024*time.Second + 1, math.MaxInt64}
	for _, b := range bounds {
		durations = append(durations, time.Duration(b)-1, time.Duration(b), time.Duration(b)+1)
	}
	for shift := range 63 {
		durations = append(durations, 1<<shift-1, 1<<shift, 1<<shift+1)
	}
	for range 2000 {
		durations = append(durations, time.Duration(math.Exp2(rand.Float64()*45)))
	}
	for _, d := range durations {
		if got, want := bucketOf(d), bucketByLogarithm(d); got != want {
			t.Errorf("%d ns are in bucket %d, want %d", d, got, want)
		}
	}
}

func TestBoundsAreThoseOfTheSchema(t *testing.T) {
	for i := range Last + 1 {
		want := math.Pow(2, float64(i+NativeOffset)/8)
		if got := Bound(i); math.Abs(got-want) > want*1e-15 {
			t.Errorf("bucket %d ends with %v, want %v", i, got, want)
		}
	}
	if Bound(0) != ZeroThreshold || Bound(Last) != 1024 || Bound(160) != 1 {
		t.Errorf("bounds %v, %v and %v", Bound(0), Bound(Last), Bound(160))
	}
}

func FuzzBucketOf(f *testing.F) {
	for _, d := range []int64{0, 1, 953, 954, 1953125, 1e9, 1024e9, 1<<62 + 1} {
		f.Add(d)
	}
	f.Fuzz(func(t *testing.T, n int64) {
		d := time.Duration(n)
		got := bucketOf(d)
		if got < 0 || got >= Buckets {
			t.Fatalf("%d ns are in bucket %d", n, got)
		}
		// Near a bound the logarithm is not exact.
		exact := math.Log2(float64(n)/1e9)*8 - NativeOffset
		if n <= 0 || math.Abs(exact-math.Round(exact)) < 1e-9 {
			return
		}
		if want := min(max(int(math.Ceil(exact)), 0), Overflow); got != want {
			t.Fatalf("%d ns are in bucket %d, want %d", n, got, want)
		}
	})
}

func TestQuantileIsWithinABucket(t *testing.T) {
	var h Histogram
	r := rand.New(rand.NewPCG(1, 2))
	var all []time.Duration
	sum := uint64(0)
	for range 10000 {
		d := time.Duration(math.Exp(r.NormFloat64()+14)) + 1 // about a millisecond
		all = append(all, d)
		sum += uint64(d)
		h.Observe(d)
	}
	slices.Sort(all)
	var d Distribution
	h.addTo(&d)
	if d.Count() != 10000 || d.Sum != sum {
		t.Errorf("%d durations of %d ns, want 10000 of %d", d.Count(), d.Sum, sum)
	}
	for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 0.999} {
		got, want := d.Quantile(q), all[int(q*10000)-1]
		if ratio := float64(got) / float64(want); ratio < 0.91 || ratio > 1.1 {
			t.Errorf("quantile %v is %v, want about %v", q, got, want)
		}
	}
}

func TestQuantileOfFew(t *testing.T) {
	of := func(all ...time.Duration) *Distribution {
		var h Histogram
		var d Distribution
		for _, one := range all {
			h.Observe(one)
		}
		h.addTo(&d)
		return &d
	}
	for _, test := range []struct {
		name     string
		of       *Distribution
		q        float64
		min, max time.Duration
	}{
		{"nothing", of(), 0.5, 0, 0},
		{"no time at all", of(0, 0, 0), 1, 900, 954},
		{"one", of(time.Second), 0.5, 917 * time.Millisecond, time.Second},
		{"longer than is known", of(time.Hour), 0.99, 1024 * time.Second, 1024 * time.Second},
		{"more than all", of(time.Second), 2, time.Second, time.Second},
		{"less than none", of(time.Second, time.Hour), -1, 917 * time.Millisecond, time.Second},
	} {
		if got := test.of.Quantile(test.q); got < test.min || got > test.max {
			t.Errorf("%s: quantile %v is %v, want %v..%v", test.name, test.q, got, test.min, test.max)
		}
	}
}

func TestDifferenceAndSum(t *testing.T) {
	var h Histogram
	var before, after Distribution
	h.Observe(time.Millisecond)
	h.Observe(time.Second)
	h.addTo(&before)
	h.Observe(time.Microsecond)
	h.Observe(time.Second)
	h.Observe(time.Minute)
	h.addTo(&after)
	d := after.Sub(before)
	if d.Count() != 3 || d.Sum != uint64(time.Microsecond+time.Second+time.Minute) || d.At(bucketOf(time.Second)) != 1 || d.At(bucketOf(time.Millisecond)) != 0 {
		t.Errorf("the difference is %+v", d)
	}
	held := slices.Clone(before.Counts)
	sum := before
	sum.Add(d)
	if sum.Count() != 5 || sum.Sum != after.Sum || sum.At(bucketOf(time.Minute)) != 1 || sum.At(bucketOf(time.Second)) != 2 {
		t.Errorf("the sum is %+v, want %+v", sum, after)
	}
	if !slices.Equal(held, before.Counts) {
		t.Error("a sum has changed what it was made from")
	}
	// It was started anew: what it counts now is all new.
	if d := before.Sub(after); d.Count() != 2 {
		t.Errorf("%d durations since a new start, want 2", d.Count())
	}
}

func TestObserveIsExactForMany(t *testing.T) {
	var h Histogram
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 1000 {
				h.Observe(time.Millisecond)
			}
		})
	}
	all.Wait()
	var d Distribution
	h.addTo(&d)
	if d.Count() != 4000 || d.Sum != uint64(4*time.Second) {
		t.Errorf("%d durations of %d ns", d.Count(), d.Sum)
	}
}

func BenchmarkObserve(b *testing.B) {
	var h Histogram
	b.ReportAllocs()
	for d := time.Duration(0); b.Loop(); d += 997 {
		h.Observe(d)
	}
}

// BenchmarkRequest is all that is written of a request.
func BenchmarkRequest(b *testing.B) {
	r := NewRegistry(1)
	home, page := r.Page(Key{Listener: "web"}, Kind{Protocol: "http"}), r.Page(Key{"web", "app"}, Kind{Protocol: "http"})
	server := r.Server(ServerKey{"app", "a"})
	b.ReportAllocs()
	for d := time.Duration(0); b.Loop(); d += 997 {
		home.Shard(0).Begin()
		s := page.Shard(0)
		s.FirstByte.Observe(d)
		server.Respond(0, 200)
		s.Total.Observe(d)
		s.Respond(200)
		s.Out.Add(1000)
		home.Shard(0).Finish()
	}
}
