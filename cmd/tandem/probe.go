package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/lab/probe"
)

// stillEvery is how often an outage that lasts is told of.
const stillEvery = time.Second

type probeCmd struct {
	Target string        `arg:"" placeholder:"ADDRESS:PORT" help:"Where the service is. Its servers have to answer GET / with 200 and their name."`
	Every  time.Duration `default:"10ms" help:"The time between two requests, each a new connection: 1ms to 1s."`
}

func (probeCmd) Help() string {
	return `Example:

  tandem probe 10.112.0.100:80

Asks a service at a steady pace, whatever becomes of earlier requests, and prints each
stretch in which none was answered.`
}

// Run probes until it is told to stop.
func (c *probeCmd) Run(ctx context.Context, o output) error {
	target, err := netip.ParseAddrPort(c.Target)
	if err != nil {
		return fmt.Errorf("%q is no address and port: %w", c.Target, err)
	}
	if c.Every < time.Millisecond || c.Every > time.Second {
		return fmt.Errorf("--every %v: it must be 1ms to 1s", c.Every)
	}
	w := &outageWriter{out: o.out, every: c.Every}
	fmt.Fprintf(o.out, "asking %s every %v\n", target, c.Every)
	err = probe.Prober{Target: target, Every: c.Every}.Run(ctx, w)
	return errors.Join(err, w.end())
}

// outageWriter takes what a prober writes, a line at a time, and prints the outages.
type outageWriter struct {
	out     io.Writer
	every   time.Duration
	began   time.Time
	outages probe.Outages
	settled time.Duration
	told    time.Duration // until when the outage that lasts was told of
}

// Write takes one line.
func (w *outageWriter) Write(line []byte) (int, error) {
	text := bytes.TrimSuffix(line, []byte("\n"))
	if w.began.IsZero() {
		var err error
		w.began, err = probe.ParseHeader(text)
		return len(line), err
	}
	b, err := probe.ParseBatch(text)
	if err != nil {
		return 0, err
	}
	w.settled = b.Settled
	for _, k := range w.outages.Add(b) {
		if k.For <= w.every {
			continue // of requests that were late, and sent at once
		}
		if err := w.print(k, "no answer for"); err != nil {
			return 0, err
		}
	}
	return len(line), w.still()
}

// still tells of an outage that lasts.
func (w *outageWriter) still() error {
	k, ongoing := w.outages.Ongoing(w.settled)
	if !ongoing {
		w.told = w.settled
		return nil
	}
	if w.settled-max(w.told, k.From) < stillEvery {
		return nil
	}
	w.told = w.settled
	return w.print(k, "still no answer, for")
}

func (w *outageWriter) print(k probe.Outage, what string) error {
	var kinds []string
	for _, f := range slices.Sorted(maps.Keys(k.Failures)) {
		kinds = append(kinds, fmt.Sprintf("%s %d", f, k.Failures[f]))
	}
	_, err := fmt.Fprintf(w.out, "%s  %s %v: %d failed (%s)\n",
		w.began.Add(k.From).UTC().Format("15:04:05.000"), what, k.For.Round(time.Millisecond), k.Failed, strings.Join(kinds, ", "))
	return err
}

// end sums up.
func (w *outageWriter) end() error {
	t, longest := w.outages.Total, w.outages.Longest
	if k, ongoing := w.outages.Ongoing(w.settled); ongoing {
		longest = max(longest, k.For)
	}
	_, err := fmt.Fprintf(w.out, "%d requests, %d failed, longest outage %v\n", t.Requests, t.Failed, longest.Round(time.Millisecond))
	return err
}
