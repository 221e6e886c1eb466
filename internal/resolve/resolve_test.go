package resolve

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestAnswersAreRenewedByTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked, changed atomic.Int64
		r := New(Options{Changed: func() { changed.Add(1) }})
		r.look = func(context.Context, string) result {
			if asked.Add(1) < 3 {
				return result{targets: targets("192.0.2.1:80", "192.0.2.2:80"), ttl: 10 * time.Second}
			}
			return result{targets: targets("192.0.2.3:80"), ttl: 10 * time.Second}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		r.Want([]string{"a.internal:80"})
		go func() { done <- r.Run(ctx) }()
		if !r.Settled(ctx) || asked.Load() != 1 || changed.Load() != 1 {
			t.Fatalf("asked %d times, changed %d times", asked.Load(), changed.Load())
		}
		time.Sleep(12 * time.Second)
		if asked.Load() != 2 || changed.Load() != 1 {
			t.Errorf("after the TTL: asked %d times, changed %d times; the same answer is no change", asked.Load(), changed.Load())
		}
		time.Sleep(12 * time.Second)
		if got := r.Answers()["a.internal:80"].Targets; changed.Load() != 2 || len(got) != 1 {
			t.Errorf("after another answer: changed %d times, %v", changed.Load(), got)
		}
		r.Want(nil)
		time.Sleep(time.Hour)
		if asked.Load() != 3 {
			t.Errorf("a name that nobody wants was asked for, %d times", asked.Load()-3)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestManyNamesAreAskedForInBoundedNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at, most, total atomic.Int64
		r := New(Options{})
		r.look = func(context.Context, string) result {
			most.Store(max(most.Load(), at.Add(1)))
			defer at.Add(-1)
			total.Add(1)
			time.Sleep(time.Second)
			return result{targets: targets("192.0.2.1:80"), ttl: time.Hour}
		}
		var names []string
		for i := range 100 {
			names = append(names, string(rune('0'+i%10))+string(rune('a'+i/10))+":80")
		}
		r.Want(names)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		if !r.Settled(ctx) {
			t.Error("not settled")
		}
		if most.Load() > atOnce || total.Load() != 100 {
			t.Errorf("%d questions, at most %d at once", total.Load(), most.Load())
		}
		cancel()
		<-done
	})
}

func TestSettledDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Options{})
		r.look = func(ctx context.Context, _ string) result { <-ctx.Done(); return result{err: ctx.Err()} }
		r.Want([]string{"a.internal:80"})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		limited, stop := context.WithTimeout(ctx, 2*time.Second)
		defer stop()
		if r.Settled(limited) {
			t.Error("settled without an answer")
		}
		if !r.Settled(ctx) { // the question has an end
			t.Error("never settled")
		}
		if a := r.Answers()["a.internal:80"]; a.Err != context.DeadlineExceeded.Error() {
			t.Errorf("the answer is %+v", a)
		}
		cancel()
		<-done
	})
}

func TestHintAsksBeforeTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		r := New(Options{})
		r.look = func(context.Context, string) result {
			asked.Add(1)
			return result{targets: targets("192.0.2.1:80"), ttl: time.Hour}
		}
		r.Want([]string{"a.internal:80"})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		r.Settled(ctx)
		for range 100 {
			r.Hint("a.internal:80")
			r.Hint("unknown:80")
		}
		time.Sleep(2 * time.Second)
		if asked.Load() != 2 {
			t.Errorf("asked %d times, want 2", asked.Load())
		}
		cancel()
		if err := <-done; errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
