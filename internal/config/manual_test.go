package config_test

import (
	"os"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/internal/config"
)

// TestTheManualsExamplesAreValid parses what the manuals show in YAML, as it stands
// there or with the pools that it leaves out.
func TestTheManualsExamplesAreValid(t *testing.T) {
	const pools = "pools: {web: {servers: 192.0.2.21:80}, api: {servers: 192.0.2.22:80}, api-next: {servers: 192.0.2.23:80}}\n"
	for _, file := range []string{"configuration.md", "tls.md"} {
		manual, err := os.ReadFile("../../docs/" + file)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(manual), "```yaml\n")
		examples := 0
		for rest != "" {
			var example string
			example, rest, _ = strings.Cut(rest, "```\n")
			if strings.Contains(example, "pool: ") && !strings.Contains(example, "\npools:") {
				example += pools
			}
			if _, err := config.Parse(file, []byte(example)); err != nil {
				t.Errorf("%v\nin:\n%s", err, example)
			}
			examples++
			_, rest, _ = strings.Cut(rest, "```yaml\n")
		}
		if examples < 3 {
			t.Errorf("found only %d examples in %s", examples, file)
		}
	}
}
