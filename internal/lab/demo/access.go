package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/tandemlb/tandem/internal/lab/failover"
)

// access is what a line of the access log says about servers.
type access struct {
	Time    time.Time `json:"time"`
	Client  string    `json:"client"`
	Server  string    `json:"server"` // the last one that was tried
	Retries int       `json:"retries"`
}

// touches reports whether the request met the server, which is the only one that
// makes others be tried.
func (a access) touches(server string) bool { return a.Server == server || a.Retries > 0 }

// accessLog reads the log of a node as it grows. Its zero value with a path begins at
// the beginning.
type accessLog struct {
	path   string
	offset int64 // of the first line that was not read
}

// next returns the requests that were logged since the last call.
func (l *accessLog) next() ([]access, error) {
	f, err := os.Open(l.path)
	if err != nil {
		return nil, fmt.Errorf("read the access log: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.NewSectionReader(f, l.offset, 1<<62))
	if err != nil {
		return nil, fmt.Errorf("read the access log: %w", err)
	}
	text = text[:bytes.LastIndexByte(text, '\n')+1] // a line that is being written is read next time
	l.offset += int64(len(text))
	var all []access
	for line := range bytes.Lines(text) {
		var a access
		// Other lines are of the node itself.
		if json.Unmarshal(line, &a) == nil && a.Client != "" {
			all = append(all, a)
		}
	}
	return all, nil
}

// between returns the requests that began in [from, to), and waits until they are
// logged: until one that began later is. They are logged as they end.
func (l *accessLog) between(ctx context.Context, from, to time.Time) ([]access, error) {
	const within = 5 * time.Second
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("the access log says nothing more within %s", within))
	defer cancel()
	var all []access
	for later := false; !later; {
		if err := failover.Pause(ctx, 50*time.Millisecond); err != nil {
			return nil, err
		}
		news, err := l.next()
		if err != nil {
			return nil, err
		}
		for _, a := range news {
			later = later || !a.Time.Before(to)
			if !a.Time.Before(from) && a.Time.Before(to) {
				all = append(all, a)
			}
		}
	}
	return all, nil
}
