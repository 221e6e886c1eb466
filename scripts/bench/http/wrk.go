package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// The bodies that are sent: as one, and in chunks.
const (
	chunks    = 4
	chunkSize = 4 << 10
	bodySize  = chunks * chunkSize
)

// A load is a closed loop: each connection sends its next request when it has the
// answer to the last.
type load struct {
	path        string
	connections int
	post        bool // with a body of bodySize bytes
	chunked     bool // the body in chunks; with post
	close       bool // a connection for each request
}

// script returns the Lua script for wrk. Requests that never change are left to
// wrk, which then builds them once; the others are a string that is built once here.
func (l load) script() string {
	var b strings.Builder
	if l.close {
		b.WriteString("wrk.headers['Connection'] = 'close'\n")
	}
	switch {
	case l.chunked:
		fmt.Fprintf(&b, `local chunk = string.format('%%x\r\n', %d) .. string.rep('x', %d) .. '\r\n'
local text = 'POST %s HTTP/1.1\r\nHost: bench\r\nTransfer-Encoding: chunked\r\n\r\n' .. string.rep(chunk, %d) .. '0\r\n\r\n'
request = function() return text end
`, chunkSize, chunkSize, l.path, chunks)
	case l.post:
		fmt.Fprintf(&b, "wrk.method = 'POST'\nwrk.body = string.rep('x', %d)\n", bodySize)
	}
	b.WriteString(`done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('{"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "errors": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
`)
	return b.String()
}

// loaded is what wrk reports.
type loaded struct {
	Requests     int     `json:"requests"`
	Microseconds float64 `json:"microseconds"` // how long it took
	P50          float64 `json:"p50"`          // microseconds
	P99          float64 `json:"p99"`          // microseconds
	Errors       int     `json:"errors"`
}

// parseLoaded finds the line of the script among what else wrk prints.
func parseLoaded(out string) (loaded, error) {
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "{") {
			continue
		}
		var l loaded
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			return l, fmt.Errorf("parse wrk's report %q: %w", line, err)
		}
		if l.Requests == 0 || l.Microseconds == 0 {
			return l, fmt.Errorf("wrk completed no request: %q", line)
		}
		return l, nil
	}
	return loaded{}, fmt.Errorf("no report in wrk's output %q", out)
}

// run puts the load on the address for some whole seconds.
func (l load) run(ctx context.Context, dir, address string, seconds int) (loaded, error) {
	cmd, err := l.command(ctx, dir, address, seconds)
	if err != nil {
		return loaded{}, err
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return loaded{}, fmt.Errorf("run wrk: %w: %s", err, out)
	}
	return parseLoaded(string(out))
}

// warm puts the load on the address until its connections, and those behind it, are
// open and in use. wrk counts in whole seconds, so it is interrupted.
func (l load) warm(ctx context.Context, dir, address string) error {
	short, cancel := context.WithTimeout(ctx, warmUp)
	defer cancel()
	cmd, err := l.command(short, dir, address, 10)
	if err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil && short.Err() == nil {
		return fmt.Errorf("run wrk: %w: %s", err, out)
	}
	return ctx.Err()
}

// warmUp is for how long there is load before a measurement.
const warmUp = 400 * time.Millisecond

func (l load) command(ctx context.Context, dir, address string, seconds int) (*exec.Cmd, error) {
	script := filepath.Join(dir, "load.lua")
	if err := os.WriteFile(script, []byte(l.script()), 0o644); err != nil {
		return nil, fmt.Errorf("write wrk's script: %w", err)
	}
	cmd := exec.CommandContext(ctx, "wrk", "-t1", fmt.Sprintf("-c%d", l.connections), fmt.Sprintf("-d%ds", seconds),
		"--timeout", "10s", "-s", script, "http://"+address+l.path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	cmd.Cancel = func() error {
		if err := cmd.Process.Signal(os.Interrupt); !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		return os.ErrProcessDone
	}
	cmd.WaitDelay = 2 * time.Second
	return cmd, nil
}
