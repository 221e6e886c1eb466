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

// TestTheExampleOfUDPIsGood reads what that manual shows as a config.
func TestTheExampleOfUDPIsGood(t *testing.T) {
	text, err := os.ReadFile("../../docs/udp.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "```yaml\n")
	example, _, ended := strings.Cut(rest, "```\n")
	if !found || !ended {
		t.Fatal("docs/udp.md shows no config")
	}
	if _, err := Parse("docs/udp.md", []byte(example)); err != nil {
		t.Error(err)
	}
}
