// Command soak keeps a pair under a mixed load of HTTP, TLS, TCP and UDP for a while, in
// network namespaces, and all along reloads its config and takes the address from the
// node that has it, in one way after another. It looks at whether memory, descriptors and
// goroutines of every process stay what they are, and at every request that fails.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/scripts/bench/side"
)

func main() { side.Main("soak", run) }

// options are the flags.
type options struct {
	tandem   string
	duration time.Duration
	reload   time.Duration
	trouble  time.Duration
	rest     time.Duration
	svg      string
	markdown string
	docs     string
	json     string
	logs     string
	judge    string
}

func run(ctx context.Context) error {
	var o options
	flag.StringVar(&o.tandem, "tandem", "tandem", "the binary to soak")
	flag.DurationVar(&o.duration, "duration", 30*time.Minute, "for how long, 1m or more")
	flag.DurationVar(&o.reload, "reload", 20*time.Second, "time between two reloads")
	flag.DurationVar(&o.trouble, "trouble", time.Minute, "time between two failovers")
	flag.DurationVar(&o.rest, "rest", 200*time.Second, "how long it waits without a load at the end: kept connections are closed after a minute, and keep-alive finds clients that have vanished after two and a half")
	flag.StringVar(&o.svg, "svg", "", "file for the picture")
	flag.StringVar(&o.docs, "docs", "", "page of the documentation whose table is to be replaced")
	flag.StringVar(&o.markdown, "markdown", "", "file for the report")
	flag.StringVar(&o.json, "json", "", "file for all readings and failures")
	flag.StringVar(&o.logs, "logs", "", "folder for the config and the logs of the nodes, which stays; default: one that does not")
	flag.StringVar(&o.judge, "judge", "", "judge the readings in this file, which -json wrote, instead of taking any")
	flag.Parse()
	if o.judge != "" {
		return o.again()
	}
	if o.duration < time.Minute {
		return fmt.Errorf("-duration %s: want 1m or more", o.duration)
	}
	return o.soak(ctx)
}

func (o options) soak(ctx context.Context) (err error) {
	if o.logs != "" {
		if err := os.MkdirAll(o.logs, 0o755); err != nil {
			return fmt.Errorf("make a folder: %w", err)
		}
	} else {
		if o.logs, err = os.MkdirTemp("", "soak-"); err != nil {
			return fmt.Errorf("make a folder: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.logs)) }()
	}
	files, err := side.Certify(o.logs)
	if err != nil {
		return err
	}
	scene, err := failover.NewScene(failover.Spec{Serve: serve})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, scene.Close()) }()
	tandem, err := failover.NewTandem(scene, o.tandem, o.logs, pairConfig(files, false))
	if err != nil {
		return err
	}
	for _, n := range failover.Nodes() {
		if err := tandem.Start(n.Name); err != nil {
			return err
		}
	}
	p := &pair{scene: scene, tandem: tandem, files: files}
	if _, err := p.ready(ctx); err != nil {
		return errors.Join(err, tandem.Running(failover.LB1), tandem.Running(failover.LB2))
	}
	r, err := o.watch(ctx, p)
	if err != nil {
		return err
	}
	return o.write(r)
}

// A result is what came of it.
type result struct {
	Began    time.Time
	Loaded   time.Duration // for how long there was a load
	Lives    []life
	Before   map[string]reading // by name, without a load, before it
	Rest     map[int]reading    // by life, without a load, after it
	Requests map[string]int     // by flow
	Failures []failure
	Windows  []window
	Reloads  []time.Time
}

// settled is how long a pair is left alone before it is looked at without a load.
const settled = 10 * time.Second

// watch puts the load on the pair, and looks on.
func (o options) watch(ctx context.Context, p *pair) (r result, err error) {
	r = result{Began: time.Now(), Before: make(map[string]reading)}
	w := newWatcher(p.scene, r.Began)
	if err := failover.Pause(ctx, settled); err != nil {
		return r, err
	}
	for at, v := range w.newest(ctx) {
		r.Before[w.lives[at].name()] = v
	}
	loadCtx, stop := context.WithCancel(ctx)
	defer stop()
	t := &tally{requests: make(map[string]int)}
	var load, eyes sync.WaitGroup
	for _, f := range flows() {
		load.Go(func() { f.run(loadCtx, p.scene.Lab.Host(failover.Client), t) })
	}
	began := time.Now()
	var changes []change
	eyes.Go(func() { w.follow(loadCtx) })
	eyes.Go(func() { changes = follow(loadCtx, p.scene) })
	err = o.play(ctx, p, began)
	stop()
	load.Wait()
	eyes.Wait()
	r.Loaded = time.Since(began)
	if err != nil {
		return r, err
	}
	fmt.Fprintln(os.Stderr, "the load has ended")
	if err := failover.Pause(ctx, o.rest); err != nil {
		return r, err
	}
	r.Rest = w.newest(ctx) // which may be the beginning of a life
	r.Lives = w.lives
	r.Requests, r.Failures, r.Reloads = t.requests, t.failures, p.reloads
	r.Windows = append(p.windows, unexpected(changes, p.windows)...)
	slices.SortFunc(r.Windows, func(a, b window) int { return a.From.Compare(b.From) })
	return r, nil
}

// calmEnd is how long before the end nothing is done to the pair any more.
const calmEnd = 15 * time.Second

// play reloads and makes trouble until the time is over.
func (o options) play(ctx context.Context, p *pair, began time.Time) error {
	end := began.Add(o.duration)
	reloadAt, troubleAt := began.Add(o.reload), began.Add(o.trouble)
	next := 0
	for {
		now := time.Now()
		switch {
		case now.After(end):
			return nil
		case now.After(end.Add(-calmEnd)):
		case now.After(troubleAt):
			done, err := p.fail(ctx, next)
			if err != nil {
				return err
			}
			if done {
				next++
			}
			fmt.Fprintf(os.Stderr, "%s %s\n", now.Sub(began).Round(time.Second), p.windows[len(p.windows)-1].Name)
			troubleAt = troubleAt.Add(o.trouble)
		case now.After(reloadAt):
			if err := p.reload(ctx); err != nil {
				return err
			}
			reloadAt = reloadAt.Add(o.reload)
		}
		if err := failover.Pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

// follow looks at all processes until ctx is done.
func (w *watcher) follow(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.look(ctx)
		}
	}
}

// A change is a moment when the address had another owner, or none, or two.
type change struct {
	at     time.Time
	owners []string
}

// follow notes who has the address, until ctx is done.
func follow(ctx context.Context, scene *failover.Scene) (all []change) {
	last := []string{"nobody was asked"}
	for failover.Pause(ctx, 50*time.Millisecond) == nil {
		owners, err := scene.Owners()
		if err == nil && !slices.Equal(owners, last) {
			all, last = append(all, change{time.Now(), owners}), owners
		}
	}
	return all
}

// unexpected returns windows for the changes that no trouble explains.
func unexpected(changes []change, windows []window) (all []window) {
	for i, c := range changes {
		explained := i == 0 || slices.ContainsFunc(windows, func(w window) bool {
			return !c.at.Before(w.From) && c.at.Before(w.To.Add(apart))
		})
		if !explained {
			all = append(all, window{
				Name: fmt.Sprintf("the address went from %s to %s, and nothing was done", names(changes[i-1].owners), names(c.owners)),
				From: c.at.Add(-time.Second), To: c.at.Add(excused), Unexpected: true,
			})
		}
	}
	return all
}

func names(owners []string) string {
	if len(owners) == 0 {
		return "nobody"
	}
	return strings.Join(owners, " and ")
}
