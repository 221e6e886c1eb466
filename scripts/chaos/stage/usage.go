package stage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tandemlb/tandem/scripts/chaos/judge"
	"github.com/tandemlb/tandem/scripts/chaos/plan"
)

// usage is what the processes of a node have open, by part.
type usage struct{ descriptors, goroutines map[string]int }

func (n *node) usage() (usage, error) {
	u := usage{map[string]int{}, map[string]int{}}
	parts, err := n.parts()
	if err != nil {
		return u, err
	}
	for part, id := range parts {
		if u.descriptors[part], err = descriptors(id.pid); err != nil {
			return u, err
		}
	}
	return u, n.scrape(u.goroutines)
}

// scrape reads the metrics of a node.
func (n *node) scrape(goroutines map[string]int) error {
	c := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DialContext: n.host.DialContext, DisableKeepAlives: true}}
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), metricsPort)
	resp, err := c.Get("http://" + at.String() + "/metrics")
	if err != nil {
		return fmt.Errorf("ask %s for its metrics: %w", n.name, err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		// tandem_process_goroutines{process="agent"} 12
		rest, ok := strings.CutPrefix(lines.Text(), `tandem_process_goroutines{process="`)
		part, value, found := strings.Cut(rest, `"} `)
		if !ok || !found {
			continue
		}
		if goroutines[part], err = strconv.Atoi(value); err != nil {
			return fmt.Errorf("read the metrics of %s: %w", n.name, err)
		}
	}
	return lines.Err()
}

// spare is by how much what is open may differ at rest: a check or a question of
// ours is under way.
const spare = 8

// What the worker keeps for later in each of its loops, of which it has one for each
// processor: coroutines, and pipes of two descriptors.
const (
	keptCoroutines = 1024
	keptPipes      = 32
)

// allowed returns how much more than at the beginning a part may have open.
func allowed(part, what string) int {
	switch {
	case part != plan.Worker:
		return spare
	case what == "goroutines":
		return spare + keptCoroutines*runtime.NumCPU()
	}
	return spare + 2*keptPipes*runtime.NumCPU()
}

// restWithin is how long the pair may take until it is at rest.
const restWithin = 40 * time.Second

// Finish ends the clients, waits until the pair is at rest as it was at the
// beginning, and tells what is not.
func (s *Stage) Finish(ctx context.Context) error {
	if err := s.load.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-s.loadDone
	limit := time.NewTimer(restWithin)
	defer limit.Stop()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		wrong := s.leftovers(ctx)
		if len(wrong) == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-limit.C:
			for _, w := range wrong {
				s.say(judge.Event{What: judge.Check, Node: judge.Nobody, Reason: "end", Text: w})
			}
			return nil
		}
	}
}

// leftovers names what is not as it was at the beginning.
func (s *Stage) leftovers(ctx context.Context) (wrong []string) {
	for i, n := range s.nodes {
		status, err := n.status(ctx)
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%s gives no status: %v", n.name, err))
			continue
		}
		if state := stateOf(status); !state.Ready || !state.ServersUp {
			wrong = append(wrong, fmt.Sprintf("%s is not fit at the end: %+v, %s", n.name, state, status.Unfit))
		}
		now, err := n.usage()
		if err != nil {
			wrong = append(wrong, err.Error())
			continue
		}
		for what, pair := range map[string][2]map[string]int{
			"descriptors": {s.idle[i].descriptors, now.descriptors}, "goroutines": {s.idle[i].goroutines, now.goroutines},
		} {
			for part, was := range pair[0] {
				if is := pair[1][part]; is > was+allowed(part, what) {
					wrong = append(wrong, fmt.Sprintf("the %s of %s has %d %s at rest, and had %d", part, n.name, is, what, was))
				}
			}
		}
		wrong = append(wrong, n.orphans()...)
	}
	slices.Sort(wrong)
	return wrong
}

// orphans names the processes that the node once had, and that run though it has
// others now.
func (n *node) orphans() (wrong []string) {
	parts, err := n.parts()
	if err != nil {
		return []string{err.Error()}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, part := range n.seen {
		if parts[part] != id && id.alive() {
			wrong = append(wrong, fmt.Sprintf("a former %s of %s, process %d, still runs", part, n.name, id.pid))
		}
	}
	return wrong
}

// end kills whatever is left of the node.
func (n *node) end() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var errs []error
	if n.process != nil {
		errs = append(errs, n.process.Kill())
	}
	for id := range n.seen {
		errs = append(errs, id.send(syscall.SIGKILL))
	}
	return errors.Join(errs...)
}

// Logs tells of lines in the logs that no node may write.
func (s *Stage) Logs() error {
	for i, n := range s.nodes {
		text, err := os.ReadFile(n.logFile())
		if err != nil {
			return fmt.Errorf("read the log of %s: %w", n.name, err)
		}
		lines := strings.Split(string(text), "\n")
		for k, line := range lines {
			for _, sign := range []string{"panic:", "fatal error:", "BUG", "DATA RACE", "goroutine 1 ["} {
				if strings.Contains(line, sign) {
					s.say(judge.Event{What: judge.Check, Node: i, Reason: "I5",
						Text: fmt.Sprintf("the log of %s says, in line %d: %s", n.name, k+1, strings.Join(lines[k:min(k+30, len(lines))], "\n"))})
					return nil
				}
			}
		}
	}
	return nil
}
