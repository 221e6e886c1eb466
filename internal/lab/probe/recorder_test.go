package probe

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRecorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRecorder()
		in, out := io.Pipe()
		ended := make(chan error, 1)
		go func() { ended <- r.Record(in) }()
		began := time.Now()

		settled := make(chan error, 1)
		go func() { settled <- r.WaitSettled(t.Context(), began.Add(4*ms)) }()
		out.Write(AppendHeader(nil, began))
		io.WriteString(out, "2000 3000+b 1000-reset\n")
		synctest.Wait()
		select {
		case err := <-settled:
			t.Fatalf("settled too early: %v", err)
		default:
		}
		io.WriteString(out, "4000 2000+a\n")
		if err := <-settled; err != nil {
			t.Fatal(err)
		}
		want := []Sample{{Start: ms, Failure: Reset}, {Start: 2 * ms, Server: "a"}, {Start: 3 * ms, Server: "b"}}
		if diff := cmp.Diff(want, r.Samples()); diff != "" {
			t.Errorf("samples (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(Totals{Requests: 3, Failed: 1}, r.Totals()); diff != "" {
			t.Errorf("totals (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(Window{Requests: 2, Failed: 1, Failures: map[Failure]int{Reset: 1}, Outage: 2 * ms, Stall: ms}, r.Window(began, began.Add(3*ms))); diff != "" {
			t.Errorf("window (-want +got):\n%s", diff)
		}

		out.Close()
		if err := <-ended; err != nil {
			t.Errorf("record: %v", err)
		}
		if err := r.WaitSettled(t.Context(), began.Add(time.Hour)); !errors.Is(err, io.EOF) {
			t.Errorf("wait after the end: %v, want %v", err, io.EOF)
		}
	})
}

func TestRecorderGivesUpWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := NewRecorder().WaitSettled(ctx, time.Now()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("wait: %v, want %v", err, context.DeadlineExceeded)
		}
	})
}

func TestRecordRefuses(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"no header", "x\n", "parse the prober's beginning"},
		{"a bad batch", "1\n2 3\n", "parse batch"},
		{"an endless line", "1\n" + strings.Repeat("1", maxLine+1), "token too long"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := NewRecorder()
			err := r.Record(strings.NewReader(test.in))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want it to contain %q", err, test.want)
			}
			if waited := r.WaitSettled(t.Context(), time.Now()); !errors.Is(waited, err) {
				t.Errorf("wait: %v, want the cause %v", waited, err)
			}
		})
	}
}
