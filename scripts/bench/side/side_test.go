package side

import (
	"errors"
	"os"
	"testing"
)

func TestParseWorker(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       int
		fails      bool
	}{
		{"a worker", `{"worker": {"pid": 42}}`, 42, false},
		{"a worker among others", `{"version": "v1", "worker": {"pid": 4711, "restarts": 0}, "agent": {"pid": 1}}`, 4711, false},
		{"none", `{"worker": {}}`, 0, true},
		{"one that has ended", `{"worker": {"pid": 0}}`, 0, true},
		{"no number", `{"worker": {"pid": "x"}}`, 0, true},
		{"nothing", "", 0, true},
		{"an empty status", "{}", 0, true},
		{"no status", `no such socket`, 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseWorker([]byte(test.text))
			if got != test.want || (err != nil) != test.fails {
				t.Errorf("got %d, %v", got, err)
			}
		})
	}
}

func TestBeginEndsWithTheSystem(t *testing.T) {
	var dir string
	s := System{
		Name: "false", Network: "udp", Config: "DIR",
		Args: func(config string) []string {
			text, err := os.ReadFile(config)
			if err != nil {
				t.Error(err)
			}
			dir = string(text)
			return []string{"false"}
		},
	}
	refused := errors.New("nobody there")
	if _, err := s.Begin("127.0.0.1:9", func(string) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("got %v, want %v", err, refused)
	}
	if _, err := os.Stat(dir); dir == "" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("folder %q is left: %v", dir, err)
	}
}
