// Http compares what Tandem, HAProxy and nginx make of the same HTTP traffic on the
// loopback: CPU time for each request, rate, latency, and memory of idle connections;
// and counts the websockets that Tandem drops over many reloads. It prints a table
// with ratios and targets and writes the measurements as JSON. scripts/bench/http.sh
// installs what it needs.
//
// CPU time is that of the process that the bytes go through: of Tandem the worker,
// of nginx the worker, of HAProxy its only one. Load, proxy and server share the
// machine, so rates compare the systems with each other and nothing else.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/scripts/bench/side"
	"github.com/tandemlb/tandem/scripts/bench/web"
)

func main() { side.Main("http", run) }

// A result is what the bench writes.
type result struct {
	Began        time.Time         `json:"began"`
	Kernel       string            `json:"kernel"`
	CPUs         int               `json:"cpus"`
	Busy         float64           `json:"load_average"` // of the minute before
	Files        int               `json:"descriptors"`  // that a process may have
	Versions     map[string]string `json:"versions"`
	AccessLog    map[string]bool   `json:"access_log"`
	Seconds      int               `json:"seconds"`   // of a measurement
	OpenRate     float64           `json:"open_rate"` // requests a second in the open loop
	Measurements []measurement     `json:"measurements"`
	Websockets   []outlived        `json:"websockets,omitempty"`
}

// options are the flags.
type options struct {
	tandem  string
	rounds  int
	seconds int
	only    string
	systems string
	rate    float64
	json    string
}

func run(ctx context.Context) error {
	var o options
	backend := flag.Bool("backend", false, "be the server behind the systems, on descriptor 3 (the bench starts itself so)")
	flag.StringVar(&o.tandem, "tandem", "", "path of the tandem binary")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds of each measurement, 1 to 100")
	flag.IntVar(&o.seconds, "seconds", 3, "for how long a measurement is, 1 to 600")
	flag.StringVar(&o.only, "only", "", "measure the scenarios whose name this regular expression matches alone; "+
		"they are "+strings.Join(names(scenarios()), ", ")+" and "+outliveName)
	flag.StringVar(&o.systems, "systems", "", "systems to measure, separated by commas: haproxy, haproxy-always (with http-reuse always, where that matters), "+
		"nginx and tandem on one thread, which is the default; haproxy-2 and tandem-2 on two")
	flag.Float64Var(&o.rate, "rate", 0, "requests a second in the open loop, instead of half of haproxy's")
	flag.StringVar(&o.json, "json", "http.json", "file for the measurements")
	flag.Parse()
	if *backend {
		return web.RunBackend(ctx)
	}
	return o.bench(ctx)
}

// outliveName is the scenario that is Tandem's alone.
const outliveName = "websockets"

func names(list []scenario) []string {
	var all []string
	for _, s := range list {
		all = append(all, s.name)
	}
	return all
}

func (o options) bench(ctx context.Context) (err error) {
	var t *tandem
	if o.tandem != "" {
		if t, err = newTandem(o.tandem); err != nil {
			return err
		}
	}
	all := systems(t)
	chosen, what, tunnels, err := o.choose(all)
	if err != nil {
		return err
	}
	res := result{
		Began: time.Now(), Kernel: kernel(), CPUs: runtime.NumCPU(), Busy: loadAverage(), Seconds: o.seconds,
		Versions: make(map[string]string), AccessLog: make(map[string]bool),
	}
	for _, s := range chosen {
		if res.Versions[s.name], err = s.version(); err != nil {
			return err
		}
		res.AccessLog[s.name] = true
	}
	b, backend, err := newBench(ctx, all, o.seconds)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close(backend)) }()
	b.rate, res.Files = o.rate, b.files
	for _, s := range chosen {
		if isTandem(s) {
			if res.AccessLog[s.name], err = b.logsAccess(ctx, s); err != nil {
				return err
			}
		}
	}
	var failed error
	if len(what) > 0 {
		failed = b.compare(ctx, chosen, what, o.rounds)
	}
	if tunnels && ctx.Err() == nil {
		var more error
		res.Websockets, more = b.outliveAll(ctx, slices.DeleteFunc(slices.Clone(chosen), func(s system) bool { return !isTandem(s) }), t)
		failed = errors.Join(failed, more)
	}
	res.Measurements, res.OpenRate = b.list, b.rate
	if len(res.Measurements)+len(res.Websockets) == 0 {
		return failed
	}
	res.print(what, chosen)
	return errors.Join(failed, res.write(o.json))
}

func isTandem(s system) bool { return strings.HasPrefix(s.name, "tandem") }

// choose returns the systems and scenarios that are asked for, and whether the one
// of upgraded connections is among them.
func (o options) choose(all []system) (chosen []system, what []scenario, tunnels bool, err error) {
	if o.rounds < 1 || o.rounds > 100 {
		return nil, nil, false, fmt.Errorf("-rounds %d: want 1 to 100", o.rounds)
	}
	if o.seconds < 1 || o.seconds > 600 {
		return nil, nil, false, fmt.Errorf("-seconds %d: want 1 to 600", o.seconds)
	}
	if o.rate < 0 || o.rate > 1e6 {
		return nil, nil, false, fmt.Errorf("-rate %g: want 0 to 1000000", o.rate)
	}
	only, err := regexp.Compile(o.only)
	if err != nil {
		return nil, nil, false, fmt.Errorf("-only %q: %w", o.only, err)
	}
	what = slices.DeleteFunc(scenarios(), func(s scenario) bool { return !only.MatchString(s.name) })
	tunnels = only.MatchString(outliveName)
	if len(what) == 0 && !tunnels {
		return nil, nil, false, fmt.Errorf("-only %q: no scenario has such a name", o.only)
	}
	list := o.systems
	if list == "" {
		list = "haproxy,haproxy-always,nginx"
		if o.tandem != "" {
			list += ",tandem"
		}
	}
	chosen, err = choose(all, list)
	return chosen, what, tunnels, err
}

// print shows what was measured.
func (r result) print(what []scenario, chosen []system) {
	if r.Busy > 0.5 {
		fmt.Printf("THE MACHINE WAS BUSY with something else before: load average %.1f. Latencies tell little.\n", r.Busy)
	}
	var columns []string
	for _, s := range chosen {
		columns = append(columns, s.name)
		log := "with an access log"
		if !r.AccessLog[s.name] {
			log = "WITHOUT AN ACCESS LOG, which it does not write: it does less than the others"
		}
		fmt.Printf("%s: %s, threads: %d, %s\n", s.name, r.Versions[s.name], s.threads, log)
	}
	fmt.Println()
	for _, s := range what {
		fmt.Printf("%s: %s\n", s.name, s.what)
	}
	if len(r.Measurements) > 0 {
		fmt.Print(tables(r.Measurements, what, columns))
		fmt.Println("\nMedians [lowest-highest]. CPU is that of HAProxy's process, nginx's worker and Tandem's worker;")
		fmt.Println("other processes are nginx's master and Tandem's supervisor. Targets are for Tandem against haproxy, where a new")
		fmt.Println("connection has each request against haproxy-always: haproxy opens one to the server as well for each.")
		if r.OpenRate > 0 {
			fmt.Printf("%s sends %.0f requests/s; by how much its client was late to send, by no fault of the proxy's, is in the latencies.\n",
				openName, r.OpenRate)
		}
	}
	for _, w := range r.Websockets {
		fmt.Println(w)
	}
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

// loadAverage returns how many threads wanted to run over the last minute; 0 when the
// kernel does not say.
func loadAverage() float64 {
	var minute float64
	text, err := os.ReadFile("/proc/loadavg")
	if err == nil {
		_, err = fmt.Sscan(string(text), &minute)
	}
	if err != nil {
		return 0
	}
	return minute
}

func kernel() string {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(release))
}
