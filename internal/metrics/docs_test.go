package metrics

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the list of metrics in docs/metrics.md; review the difference")

// sections are the parts of the list, by the family that each begins with.
var sections = []struct {
	title string
	first id
}{
	{"The node", buildInfo}, {"Its processes", processRestarts}, {"The heartbeat", heartbeatLateness}, {"Virtual addresses", vipRole},
	{"The peer", peerAlive}, {"Listeners", listenerOpen}, {"Requests and connections", httpRequests}, {"Pools", poolActive},
	{"Servers", serverUp}, {"The worker", workerOverloaded}, {"TLS", tlsHandshakes}, {"The status page", adminRefused},
}

const listBegin = "## All metrics\n"

// list returns the list as the manual has it.
func list() string {
	var b strings.Builder
	b.WriteString(listBegin)
	for i, s := range sections {
		end := count
		if i+1 < len(sections) {
			end = sections[i+1].first
		}
		fmt.Fprintf(&b, "\n### %s\n\n| metric | type | labels | |\n|---|---|---|---|\n", s.title)
		for _, f := range families[s.first:end] {
			labels := ""
			for j, l := range f.labels {
				if j > 0 {
					labels += ", "
				}
				labels += "`" + l + "`"
			}
			fmt.Fprintf(&b, "| `%s%s` | %s | %s | %s |\n", prefix, f.name, [...]string{gauge: "gauge", counter: "counter", histogram: "histogram"}[f.kind], labels, f.help)
		}
	}
	return b.String()
}

func TestManualListsEveryMetric(t *testing.T) {
	const path = "../../docs/metrics.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	intro, is, _ := strings.Cut(string(text), listBegin)
	if *update {
		if err := os.WriteFile(path, []byte(intro+list()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if listBegin+is != list() {
		t.Errorf("docs/metrics.md does not list the metrics as they are (hint: go test ./internal/metrics -update)")
	}
}
