package main

import (
	"context"
	"net"
	"testing"
	"time"
)

func TestEachScenarioMovesSomething(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context() // which is done before the clean-up
	done := make(chan error, 1)
	go func() { done <- serve(ctx, l) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	for _, sc := range scenarios() {
		t.Run(sc.name, func(t *testing.T) {
			loaded, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
			defer cancel()
			if n, err := sc.run(loaded, l.Addr().String()); err != nil || n == 0 {
				t.Errorf("%d units, %v", n, err)
			}
		})
	}
}
