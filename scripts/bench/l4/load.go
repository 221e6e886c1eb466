package main

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tandemlb/tandem/scripts/bench/side"
)

// Each connection begins with a byte that says what the backend is to do.
const (
	sink   = 'd' // take everything
	source = 'u' // send for as long as somebody takes it
	mirror = 'e' // send everything back
)

const (
	blockSize   = 256 << 10
	messageSize = 64
	clients     = 8
)

// serve is the backend: it does what connections ask for until ctx is done.
func serve(ctx context.Context, l net.Listener) error {
	return side.Serve(ctx, l, play)
}

// play does what a connection asks for, until that ends.
func play(c net.Conn) {
	b := make([]byte, 1, blockSize)
	if _, err := io.ReadFull(c, b); err != nil {
		return
	}
	what := b[0]
	for b = b[:blockSize]; ; {
		n := len(b)
		if what != source {
			var err error
			if n, err = c.Read(b); err != nil {
				return
			}
		}
		if what != sink {
			if _, err := c.Write(b[:n]); err != nil {
				return
			}
		}
	}
}

// A scenario is one kind of load. run loads address until ctx is done, and returns how
// many units it has moved.
type scenario struct {
	name, unit string
	per        float64 // units that the CPU time is given for
	run        func(ctx context.Context, address string) (uint64, error)
}

func scenarios() []scenario {
	return []scenario{
		{"upload", "GB", 1e9, load(sink, func(c net.Conn, b []byte) (int, error) { return c.Write(b[:blockSize]) })},
		{"download", "GB", 1e9, load(source, func(c net.Conn, b []byte) (int, error) { return c.Read(b[:blockSize]) })},
		{"echo", "1000 messages", 1e3, load(mirror, func(c net.Conn, b []byte) (int, error) {
			_, err := exchange(c, b)
			return 1, err
		})},
		{"connect", "1000 connections", 1e3, connect},
	}
}

// exchange sends a message and reads it back.
func exchange(c net.Conn, b []byte) (int, error) {
	if _, err := c.Write(b[:messageSize]); err != nil {
		return 0, err
	}
	return io.ReadFull(c, b[:messageSize])
}

// load repeats step on each of several connections.
func load(what byte, step func(c net.Conn, b []byte) (int, error)) func(context.Context, string) (uint64, error) {
	return func(ctx context.Context, address string) (uint64, error) {
		return each(ctx, func(count *atomic.Uint64) error {
			c, err := net.Dial("tcp", address)
			if err != nil {
				return err
			}
			defer c.Close()
			defer context.AfterFunc(ctx, func() { c.Close() })()
			if _, err := c.Write([]byte{what}); err != nil {
				return err
			}
			for b := make([]byte, blockSize); ; {
				n, err := step(c, b)
				if err != nil {
					return err
				}
				count.Add(uint64(n))
			}
		})
	}
}

// connect makes one connection after the other, each for one message.
func connect(ctx context.Context, address string) (uint64, error) {
	return each(ctx, func(count *atomic.Uint64) error {
		b := make([]byte, messageSize)
		for ctx.Err() == nil {
			if err := visit(address, b); err != nil {
				return err
			}
			count.Add(1)
		}
		return nil
	})
}

func visit(address string, b []byte) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	b[0] = mirror
	if _, err := c.Write(b); err != nil {
		return err
	}
	_, err = io.ReadFull(c, b[:messageSize-1]) // the first byte is the order
	return err
}

// each runs f for each client, and returns what they have counted when ctx is done.
func each(ctx context.Context, f func(*atomic.Uint64) error) (uint64, error) {
	var count atomic.Uint64
	var wg sync.WaitGroup
	errs := make([]error, clients)
	for i := range clients {
		wg.Go(func() {
			if err := f(&count); ctx.Err() == nil {
				errs[i] = err // not of the end
			}
		})
	}
	wg.Wait()
	return count.Load(), errors.Join(errs...)
}
