package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/dashboard"
)

// answerWithin is how long a node that is watched may take to answer.
const answerWithin = 2 * time.Second

// reply is what came of asking a node.
type reply struct {
	at  time.Time
	e   *admin.Explanation
	err error
}

// watch shows the node's state again and again until ctx is done, or somebody quits.
func (c *statusCmd) watch(ctx context.Context, o output) error {
	if c.Interval < 100*time.Millisecond {
		return fmt.Errorf("--interval %s: want 100ms or more", c.Interval)
	}
	node, err := c.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	replies := make(chan reply)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	asking.Go(func() { ask(ctx, node, c.Interval, replies) })

	var w watcher
	switch {
	case c.JSON:
		return w.lines(o.out, replies)
	case !isTerminal(o.out):
		return w.pages(o.out, replies)
	}
	s, err := openScreen(o.out.(*os.File), os.Stdin, cancel)
	if err != nil {
		return err
	}
	defer s.close()
	return w.live(s, replies)
}

// ask asks the node at once, and then in each interval, until ctx is done. Then it
// closes replies.
func ask(ctx context.Context, client *admin.Client, every time.Duration, replies chan<- reply) {
	defer close(replies)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		within, cancel := context.WithTimeout(ctx, answerWithin)
		e, err := client.Explain(within)
		cancel()
		select {
		case replies <- reply{time.Now(), e, err}:
		case <-ctx.Done():
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// watcher remembers what is to be shown.
type watcher struct{ view dashboard.View }

// take takes a reply in.
func (w *watcher) take(a reply) {
	v := &w.view
	v.Clock = a.at
	if a.err != nil {
		if v.Failure == nil {
			v.Lost = a.at
		}
		v.Failure = a.err
		return
	}
	v.Before, v.Newest, v.Failure = v.Newest, a.e, nil
}

// lines prints each reply as a line of JSON; one that failed goes without.
func (w *watcher) lines(out io.Writer, replies <-chan reply) error {
	e := json.NewEncoder(out)
	for a := range replies {
		if a.err != nil {
			continue
		}
		if err := e.Encode(a.e.Status); err != nil {
			return err
		}
	}
	return nil
}

// pages prints one state after another.
func (w *watcher) pages(out io.Writer, replies <-chan reply) error {
	for a := range replies {
		w.take(a)
		if _, err := fmt.Fprintln(out, strings.Join(dashboard.Frame(w.view, dashboard.Size{}), "\n")+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// live shows the newest state on a screen, also when that changes its size.
func (w *watcher) live(s *screen, replies <-chan reply) error {
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	for {
		select {
		case a, more := <-replies:
			if !more {
				return nil
			}
			w.take(a)
		case <-resized:
			w.view.Clock = time.Now()
		}
		if err := s.show(w.view); err != nil {
			return err
		}
	}
}

// Control sequences of terminals (ECMA-48, and xterm's private modes).
const (
	enterScreen = "\x1b[?1049h\x1b[?25l" // another screen, without a cursor
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	home        = "\x1b[H"
	eraseRest   = "\x1b[K" // of the line
	eraseBelow  = "\x1b[J"
)

// screen is a terminal that is drawn on as a whole.
type screen struct {
	out    *os.File
	styled bool
	keys   *keys // nil: nobody can type
}

// openScreen takes the terminal of out; close gives it back. A key that quits, read from
// in if that is a terminal, calls quit.
func openScreen(out, in *os.File, quit func()) (*screen, error) {
	s := &screen{out: out, styled: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
	if term.IsTerminal(int(in.Fd())) {
		var err error
		if s.keys, err = readKeys(in, quit); err != nil {
			return nil, err
		}
	}
	if _, err := out.WriteString(enterScreen); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// show draws a view.
func (s *screen) show(v dashboard.View) error {
	width, height, err := term.GetSize(int(s.out.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		width, height = 80, 24
	}
	var b strings.Builder
	b.WriteString(home)
	for i, line := range dashboard.Frame(v, dashboard.Size{Width: width, Height: height, Styled: s.styled}) {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(line + eraseRest)
	}
	b.WriteString(eraseBelow)
	_, err = s.out.WriteString(b.String())
	return err
}

// close gives the terminal back as it was.
func (s *screen) close() {
	_, _ = s.out.WriteString(leaveScreen) // it may be gone
	if s.keys != nil {
		s.keys.close()
	}
}
