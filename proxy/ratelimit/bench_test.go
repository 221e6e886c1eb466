package ratelimit

import (
	"fmt"
	"testing"
	"time"
)

func BenchmarkAllow(b *testing.B) {
	keys := make([][]byte, 1<<18)
	for i := range keys {
		keys[i] = key(i)
	}
	for _, n := range []int{1, 1000, 50_000, len(keys)} {
		b.Run(fmt.Sprintf("%d keys", n), func(b *testing.B) {
			l := limiter(100, time.Second, 10, 0)
			now := epoch
			for i := range n {
				l.Allow(now, keys[i])
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if i++; i == n {
					i = 0
				}
				now = now.Add(time.Microsecond)
				l.Allow(now, keys[i])
			}
		})
	}
	for name, k := range map[string][]byte{"one key": keys[0], "the empty key": nil} {
		b.Run(name+" in parallel", func(b *testing.B) {
			l := limiter(100, time.Second, 10, 0)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					l.Allow(epoch, k)
				}
			})
		})
	}
	b.Run("many keys in parallel", func(b *testing.B) {
		l := limiter(100, time.Second, 10, 0)
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				l.Allow(epoch, keys[i&0x3fff])
			}
		})
	})
}
