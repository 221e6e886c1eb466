package vrrp_test

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/vrrp"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the transcripts in testdata; review what changed")

// A transcript is a story of commands, each followed by what it led to, indented.
// Lines that begin with # are prose. The commands:
//
//	node NAME [priority=N] [interval=D] [preempt=BOOL] [delay=D] [version=N] [families=both|opposed]
//	    at 192.0.2.11, .12, ... and fe80::11, ::12, ..., or fe80::75, ::74, ...
//	start NAME | crash NAME | died NAME | freeze NAME | thaw NAME
//	stop NAME [linger=D] | priority NAME N
//	unplug NAME 4|6 | plug NAME 4|6
//	cut NAME NAME | deafen FROM TO 4|6 | heal | latency D | run D
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("found %d transcripts, error %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := replay(string(want))
			if err != nil {
				t.Fatal(err)
			}
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("transcript (-want +got):\n%s", diff)
			}
		})
	}
}

// replay executes the commands of a transcript and returns it as it should be.
func replay(script string) (string, error) {
	var b strings.Builder
	n := newNetwork(nil)
	for i, line := range strings.Split(strings.TrimRight(script, "\n"), "\n") {
		if strings.HasPrefix(line, " ") {
			continue // of an earlier run
		}
		fmt.Fprintln(&b, line)
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		n.log = nil
		if err := n.command(words[0], words[1:]); err != nil {
			return "", fmt.Errorf("line %d: %q: %w", i+1, line, err)
		}
		for _, l := range n.log {
			fmt.Fprintf(&b, "  %s\n", l)
		}
	}
	return b.String(), nil
}

func (n *network) command(verb string, args []string) error {
	named, options, err := n.arguments(verb, args)
	if err != nil {
		return err
	}
	switch verb {
	case "node":
		return n.addNamed(args[0], options)
	case "start":
		n.start(named[0])
	case "crash":
		n.crash(named[0])
	case "died":
		n.died(named[0])
	case "freeze":
		n.freeze(named[0])
	case "thaw":
		n.thaw(named[0], false)
	case "stop":
		linger, err := time.ParseDuration(options["linger"])
		if err != nil && options["linger"] != "" {
			return err
		}
		n.stop(named[0], linger)
	case "priority":
		p, err := parseUint8(args[1])
		if err != nil {
			return err
		}
		n.setPriority(named[0], p)
	case "unplug", "plug", "deafen":
		return n.onChannel(verb, named, args[len(args)-1])
	case "cut":
		n.separate(named[0], named[1])
		n.log = nil
	case "heal":
		n.heal()
		n.log = nil
	case "latency":
		n.latency, err = time.ParseDuration(args[0])
		return err
	case "run":
		d, err := time.ParseDuration(args[0])
		if err != nil {
			return err
		}
		n.run(d)
	}
	return nil
}

// onChannel is the commands about one address family.
func (n *network) onChannel(verb string, named []*node, family string) error {
	channel, known := map[string]int{"4": 0, "6": 1}[family]
	if !known || channel >= len(named[0].params) {
		return errors.New("unknown family")
	}
	switch verb {
	case "unplug":
		n.unplug(named[0], channel)
	case "plug":
		n.plug(named[0], channel)
	case "deafen":
		n.deafen(named[0], named[1], channel)
		n.log = nil
	}
	return nil
}

// arguments splits what follows a verb into nodes and key=value.
func (n *network) arguments(verb string, args []string) ([]*node, map[string]string, error) {
	count, known := map[string]int{
		"node": 0, "start": 1, "crash": 1, "died": 1, "freeze": 1, "thaw": 1,
		"stop": 1, "priority": 1, "unplug": 1, "plug": 1, "cut": 2, "deafen": 2, "heal": 0, "latency": 0, "run": 0,
	}[verb]
	if !known || len(args) < count {
		return nil, nil, errors.New("bad command")
	}
	var named []*node
	for _, name := range args[:count] {
		for _, nd := range n.nodes {
			if nd.name == name {
				named = append(named, nd)
			}
		}
	}
	if len(named) != count {
		return nil, nil, errors.New("unknown node")
	}
	options := make(map[string]string)
	for _, a := range args[count:] {
		if k, v, ok := strings.Cut(a, "="); ok {
			options[k] = v
		}
	}
	return named, options, nil
}

func (n *network) addNamed(name string, options map[string]string) error {
	p := params()
	p.Self = selfOf(len(n.nodes))
	var self6 netip.Addr
	for k, v := range options {
		var err error
		switch k {
		case "priority":
			p.Priority, err = parseUint8(v)
		case "version":
			p.Version, err = parseUint8(v)
		case "interval":
			p.Interval, err = time.ParseDuration(v)
		case "preempt":
			p.Preempt, err = strconv.ParseBool(v)
		case "delay":
			p.PreemptDelay, err = time.ParseDuration(v)
		case "families":
			self6, err = selfInFamilies(v, len(n.nodes))
		default:
			err = fmt.Errorf("unknown option %q", k)
		}
		if err != nil {
			return err
		}
	}
	all := []vrrp.Params{p}
	if self6.IsValid() {
		p.Self, p.Addresses = self6, params6().Addresses
		all = append(all, p)
	}
	for _, p := range all {
		if _, err := vrrp.NewRouter(p); err != nil {
			return err
		}
	}
	n.add(name, all...)
	return nil
}

func parseUint8(s string) (uint8, error) {
	u, err := strconv.ParseUint(s, 10, 8)
	return uint8(u), err
}

func selfInFamilies(families string, number int) (netip.Addr, error) {
	switch families {
	case "both":
		return selfOf6(number), nil
	case "opposed":
		return otherSelfOf6(number), nil
	}
	return netip.Addr{}, fmt.Errorf("unknown families %q", families)
}
