// Failover compares what a client feels when a load balancer fails: Tandem, and
// keepalived with HAProxy, in the same network, under the same traffic, through
// the same events. It prints a table with the ratios and writes the
// measurements as JSON. scripts/bench/failover.sh installs what it needs.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/tandemlb/tandem/internal/lab/failover"
	"github.com/tandemlb/tandem/internal/lab/probe"
	"github.com/tandemlb/tandem/scripts/bench/side"
)

func main() { side.Main("failover", run) }

// A measurement is what one event came to.
type measurement struct {
	System    string  `json:"system"`
	Advertise float64 `json:"advertise_ms"`
	Event     string  `json:"event"`
	Round     int     `json:"round"`
	Outage    float64 `json:"outage_ms"`
	Requests  int     `json:"requests"`
	Failed    int     `json:"failed"`
	// Failures is Failed by kind.
	Failures map[probe.Failure]int `json:"failures,omitempty"`
	Stall    float64               `json:"client_stall_ms"` // how long the client itself was held up
	Owners   string                `json:"owners"`          // before and after
	CPU      float64               `json:"cpu_percent"`     // of a core, at rest
}

// A result is what the bench writes.
type result struct {
	Began        time.Time         `json:"began"`
	Kernel       string            `json:"kernel"`
	CPUs         int               `json:"cpus"`
	Versions     map[string]string `json:"versions"`
	Measurements []measurement     `json:"measurements"`
}

func run(ctx context.Context) error {
	prober := flag.String("prober", "", "be the client of this address (the bench starts itself so)")
	binary := flag.String("tandem", "", "path of the tandem binary; without it, only keepalived is measured")
	rounds := flag.Int("rounds", 5, "rounds of each")
	advertise := flag.String("advertise", "100ms,10ms", "advertisement intervals, separated by commas")
	out := flag.String("json", "failover.json", "file for the measurements")
	flag.Parse()
	if *prober != "" {
		target, err := netip.ParseAddr(*prober)
		if err != nil {
			return fmt.Errorf("-prober: %w", err)
		}
		return failover.RunProber(ctx, target, os.Stdout)
	}
	intervals, err := parseIntervals(*advertise)
	if err != nil {
		return err
	}
	systems := []system{keepalived()}
	if *binary != "" {
		systems = append(systems, tandem(*binary))
	}
	res, err := compareSystems(ctx, systems, intervals, *rounds)
	if err != nil && len(res.Measurements) == 0 {
		return err
	}
	fmt.Print(table(res.Measurements), "\n", restTable(res.Measurements))
	return errors.Join(err, res.write(*out))
}

// compareSystems measures round after round. What was measured is returned also
// when some rounds went wrong.
func compareSystems(ctx context.Context, systems []system, intervals []time.Duration, rounds int) (result, error) {
	res := result{Began: time.Now(), Kernel: kernel(), CPUs: runtime.NumCPU(), Versions: make(map[string]string)}
	for _, s := range systems {
		version, err := s.version()
		if err != nil {
			return res, err
		}
		res.Versions[s.name] = version
	}
	var errs []error
	for round := range rounds {
		for _, interval := range intervals {
			// The systems take turns, so that a change in the machine's temper
			// meets all of them.
			for _, s := range systems {
				m, err := s.round(ctx, interval, round+1)
				if ctx.Err() != nil {
					return res, errors.New("interrupted")
				}
				res.Measurements = append(res.Measurements, m...)
				fmt.Fprintf(os.Stderr, "round %d of %d, %s at %s: %s\n", round+1, rounds, s.name, interval, brief(m))
				if err != nil {
					errs = append(errs, fmt.Errorf("round %d, %s at %s: %w", round+1, s.name, interval, err))
				}
			}
		}
	}
	return res, errors.Join(errs...)
}

func (r result) write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode measurements: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write measurements: %w", err)
	}
	fmt.Println("measurements:", path)
	return nil
}

func parseIntervals(list string) ([]time.Duration, error) {
	var intervals []time.Duration
	for _, text := range strings.Split(list, ",") {
		d, err := time.ParseDuration(text)
		if err != nil || d < 10*time.Millisecond || d > time.Second {
			return nil, fmt.Errorf("-advertise %q: want durations from 10ms to 1s, separated by commas", list)
		}
		intervals = append(intervals, d)
	}
	return intervals, nil
}

func kernel() string {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(release))
}
