package web

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

// A Load is a closed loop: each connection sends its next request when it has the
// answer to the last.
type Load struct {
	Path        string
	Connections int
	Post        bool // with a body of bodySize bytes
	Chunked     bool // the body in chunks; with post
	Close       bool // a connection for each request
	TLS         bool
}

// String describes the load.
func (l Load) String() string {
	text := map[string]string{Small: "64 bytes", Medium: "10 KiB", Large: "1 MiB", Pieces: "16 KiB in chunks"}[l.Path]
	switch {
	case l.Chunked:
		text = "16 KiB in chunks sent, " + text + " back"
	case l.Post:
		text = "16 KiB sent, " + text + " back"
	}
	if l.Close {
		return fmt.Sprintf("%s, %d connections at a time, a new one for each request", text, l.Connections)
	}
	return fmt.Sprintf("%s, %d connections kept open", text, l.Connections)
}

// script returns the Lua script for wrk. Requests that never change are left to
// wrk, which then builds them once; the others are a string that is built once here.
func (l Load) script() string {
	var b strings.Builder
	if l.Close {
		b.WriteString("wrk.headers['Connection'] = 'close'\n")
	}
	switch {
	case l.Chunked:
		fmt.Fprintf(&b, `local chunk = string.format('%%x\r\n', %d) .. string.rep('x', %d) .. '\r\n'
local text = 'POST %s HTTP/1.1\r\nHost: bench\r\nTransfer-Encoding: chunked\r\n\r\n' .. string.rep(chunk, %d) .. '0\r\n\r\n'
request = function() return text end
`, chunkSize, chunkSize, l.Path, chunks)
	case l.Post:
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

// Loaded is what wrk reports.
type Loaded struct {
	Requests     int     `json:"requests"`
	Microseconds float64 `json:"microseconds"` // how long it took
	P50          float64 `json:"p50"`          // microseconds
	P99          float64 `json:"p99"`          // microseconds
	Errors       int     `json:"errors"`
}

// parseLoaded finds the line of the script among what else wrk prints.
func parseLoaded(out string) (Loaded, error) {
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "{") {
			continue
		}
		var l Loaded
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			return l, fmt.Errorf("parse wrk's report %q: %w", line, err)
		}
		if l.Requests == 0 || l.Microseconds == 0 {
			return l, fmt.Errorf("wrk completed no request: %q", line)
		}
		return l, nil
	}
	return Loaded{}, fmt.Errorf("no report in wrk's output %q", out)
}

// Run puts the load on the address for some whole seconds.
func (l Load) Run(ctx context.Context, dir, address string, seconds int) (Loaded, error) {
	cmd, err := l.command(ctx, dir, address, seconds)
	if err != nil {
		return Loaded{}, err
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return Loaded{}, fmt.Errorf("run wrk: %w: %s", err, out)
	}
	return parseLoaded(string(out))
}

// Warm puts the load on the address until its connections, and those behind it, are
// open and in use. wrk counts in whole seconds, so it is interrupted.
func (l Load) Warm(ctx context.Context, dir, address string) error {
	short, cancel := context.WithTimeout(ctx, WarmUp)
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

// WarmUp is for how long there is load before a measurement.
const WarmUp = 400 * time.Millisecond

func (l Load) command(ctx context.Context, dir, address string, seconds int) (*exec.Cmd, error) {
	script := filepath.Join(dir, "load.lua")
	if err := os.WriteFile(script, []byte(l.script()), 0o644); err != nil {
		return nil, fmt.Errorf("write wrk's script: %w", err)
	}
	scheme := "http://"
	if l.TLS {
		scheme = "https://" // wrk believes any certificate
	}
	cmd := exec.CommandContext(ctx, "wrk", "-t1", fmt.Sprintf("-c%d", l.Connections), fmt.Sprintf("-d%ds", seconds),
		"--timeout", "10s", "-s", script, scheme+address+l.Path)
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
