package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
)

// leftWithin is how soon a proxy must have closed the connections of clients that have
// gone.
const leftWithin = 2 * time.Second

// left returns how many connections of clients a proxy has at its address that should
// have gone: those that hang.
func left(ctx context.Context, address string) (int, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return 0, fmt.Errorf("parse the proxy's address: %w", err)
	}
	for end := time.Now().Add(leftWithin); ; {
		table, err := os.ReadFile("/proc/net/tcp")
		if err != nil {
			return 0, fmt.Errorf("look for connections: %w", err)
		}
		n := openAt(string(table), to.Port())
		if n == 0 || time.Now().After(end) {
			return n, nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// openAt counts the connections to the local port that their process has not closed, in
// the text of /proc/net/tcp.
func openAt(table string, port uint16) (n int) {
	const established, closeWait = "01", "08"
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 4 {
			continue
		}
		_, text, _ := strings.Cut(fields[1], ":")
		local, err := strconv.ParseUint(text, 16, 16)
		if err == nil && uint16(local) == port && (fields[3] == established || fields[3] == closeWait) {
			n++
		}
	}
	return n
}
