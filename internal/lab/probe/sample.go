// Package probe sends requests at a steady pace, whatever becomes of earlier
// ones, and judges how long a service gave no answer. The pace is what makes
// the outage measurable: a client that waits for answers sends nothing while
// there are none.
package probe

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
)

// A Failure says how a request failed; empty when it was answered.
type Failure string

// The ways in which a request fails.
const (
	Timeout     Failure = "timeout"     // no connection in time
	Slow        Failure = "slow"        // connected, no answer in time
	Refused     Failure = "refused"     // nobody listens there
	Reset       Failure = "reset"       // the connection was broken off
	Unreachable Failure = "unreachable" // no way to the host
	Bad         Failure = "bad"         // an answer, but not 200 with a server's name
	Overload    Failure = "overload"    // not sent: too many requests were in flight
	Other       Failure = "other"
)

// A Sample is what became of one request.
type Sample struct {
	Start   time.Duration // when it was sent, since the prober's beginning; whole microseconds
	Server  string        // who answered; empty when it failed
	Failure Failure       // empty when it was answered
}

// A Batch is what a prober reports at once, in no order.
type Batch struct {
	// Settled is the time before which every request has been reported, by
	// this batch or an earlier one.
	Settled time.Duration
	Samples []Sample
}

// A batch is a line of text: the settled time, then for each sample its start,
// both in microseconds, and "+server" or "-failure".

// AppendBatch appends the line for a batch, with its line feed.
func AppendBatch(line []byte, b Batch) []byte {
	line = strconv.AppendInt(line, b.Settled.Microseconds(), 10)
	for _, s := range b.Samples {
		line = append(line, ' ')
		line = strconv.AppendInt(line, s.Start.Microseconds(), 10)
		if s.Failure == "" {
			line = append(append(line, '+'), s.Server...)
		} else {
			line = append(append(line, '-'), s.Failure...)
		}
	}
	return append(line, '\n')
}

// ParseBatch reads a line that AppendBatch wrote, with or without its line
// feed.
func ParseBatch(line []byte) (Batch, error) {
	fields := bytes.Split(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
	settled, err := parseMicroseconds(fields[0])
	if err != nil {
		return Batch{}, fmt.Errorf("parse batch: settled time: %w", err)
	}
	b := Batch{Settled: settled}
	for _, field := range fields[1:] {
		s, err := parseSample(field)
		if err != nil {
			return Batch{}, fmt.Errorf("parse batch: sample %q: %w", field, err)
		}
		b.Samples = append(b.Samples, s)
	}
	return b, nil
}

func parseSample(field []byte) (Sample, error) {
	i := bytes.IndexAny(field, "+-")
	if i < 0 {
		return Sample{}, fmt.Errorf("neither + nor - follows the start")
	}
	start, err := parseMicroseconds(field[:i])
	if err != nil {
		return Sample{}, err
	}
	word := string(field[i+1:])
	if !validName(word) {
		return Sample{}, fmt.Errorf("invalid name %q", word)
	}
	if field[i] == '+' {
		return Sample{Start: start, Server: word}, nil
	}
	return Sample{Start: start, Failure: Failure(word)}, nil
}

func parseMicroseconds(text []byte) (time.Duration, error) {
	n, err := strconv.ParseUint(string(text), 10, 48) // enough for eight years
	return time.Duration(n) * time.Microsecond, err
}

// validName reports whether a server's name can stand in a batch.
func validName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '.' {
			return false
		}
	}
	return name != "" && len(name) <= 32
}
