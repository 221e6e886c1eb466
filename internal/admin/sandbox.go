package admin

import (
	"fmt"
	"strings"
)

// Sandbox is what confines the worker, by the kernel's own word.
type Sandbox struct {
	UID          int      `json:"uid"`
	Capabilities string   `json:"capabilities"` // that it has, hexadecimal; empty: none
	Bounding     string   `json:"bounding"`     // that programs could have which it started; empty: none
	NoNewPrivs   bool     `json:"noNewPrivs"`
	Landlock     int      `json:"landlock"` // version of its ABI; 0: it is not in force
	Seccomp      bool     `json:"seccomp"`  // system calls are filtered
	Missing      []string `json:"missing,omitempty"`
}

// String is the sandbox in one line.
func (s Sandbox) String() string {
	words := []string{fmt.Sprintf("uid %d", s.UID), "no capabilities"}
	if s.Capabilities != "" {
		words[1] = "CAPABILITIES " + s.Capabilities
	}
	if s.Landlock > 0 {
		words = append(words, fmt.Sprintf("landlock ABI %d", s.Landlock))
	}
	if s.Seccomp {
		words = append(words, "seccomp")
	}
	if len(s.Missing) > 0 {
		words = append(words, "WITHOUT "+strings.Join(s.Missing, ", "))
	}
	return strings.Join(words, ", ")
}
