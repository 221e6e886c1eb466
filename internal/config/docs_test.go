package config

import (
	"os"
	"strings"
	"testing"
)

// TestTheManualShowsTheReference keeps the manual's list of keys the one that is
// parsed by the other tests.
func TestTheManualShowsTheReference(t *testing.T) {
	manual, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	reference, err := os.ReadFile("testdata/reference.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(manual), "```yaml\n"+string(reference)+"```\n") {
		t.Error("docs/configuration.md does not show testdata/reference.yaml as it is")
	}
}
