package vrrp_test

import (
	"errors"
	"flag"
	"fmt"
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
//	node NAME [priority=N] [interval=D] [preempt=BOOL]   at 192.0.2.11, .12, ...
//	start NAME | crash NAME | freeze NAME | thaw NAME
//	stop NAME [linger=D] | priority NAME N
//	cut NAME NAME | heal | run D
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
		p, err := strconv.ParseUint(args[1], 10, 8)
		if err != nil {
			return err
		}
		n.setPriority(named[0], uint8(p))
	case "cut":
		n.separate(named[0], named[1])
		n.log = nil
	case "heal":
		n.heal()
		n.log = nil
	case "run":
		d, err := time.ParseDuration(args[0])
		if err != nil {
			return err
		}
		n.run(d)
	}
	return nil
}

// arguments splits what follows a verb into nodes and key=value.
func (n *network) arguments(verb string, args []string) ([]*node, map[string]string, error) {
	count, known := map[string]int{
		"node": 0, "start": 1, "crash": 1, "freeze": 1, "thaw": 1,
		"stop": 1, "priority": 1, "cut": 2, "heal": 0, "run": 0,
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
	for k, v := range options {
		var err error
		switch k {
		case "priority":
			var u uint64
			u, err = strconv.ParseUint(v, 10, 8)
			p.Priority = uint8(u)
		case "interval":
			p.Interval, err = time.ParseDuration(v)
		case "preempt":
			p.Preempt, err = strconv.ParseBool(v)
		default:
			err = fmt.Errorf("unknown option %q", k)
		}
		if err != nil {
			return err
		}
	}
	if _, err := vrrp.NewRouter(p); err != nil {
		return err
	}
	n.add(name, p)
	return nil
}
