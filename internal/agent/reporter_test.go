package agent

import (
	"testing"

	"github.com/tandemlb/tandem/internal/ipc"
)

// A supervisor that reads nothing for a while learns of every change of role, however
// much else there was to say.
func TestChangesOfRoleAreNotKeptOutByOtherLines(t *testing.T) {
	r := newReporter()
	for range 2 * maxLog {
		r.log("warn", "something", nil)
	}
	r.role("info", "role changed", map[string]any{"to": "active"})
	r.log("warn", "something", nil)
	var roles, others int
	var dropped any
	err := r.flush(func(m ipc.FromAgent) error {
		switch {
		case m.Log.Role:
			roles++
		case m.Log.Message == "log lines dropped":
			dropped = m.Log.Fields["count"]
		default:
			others++
		}
		return nil
	})
	if err != nil || roles != 1 || others != maxLog || dropped != maxLog+1 {
		t.Errorf("told %d changes of role and %d other lines, dropped %v (%v)", roles, others, dropped, err)
	}
	for range 2 * maxRoles {
		r.role("info", "role changed", nil)
	}
	if len(r.lines) != maxRoles {
		t.Errorf("%d lines wait, want the bound of %d", len(r.lines), maxRoles)
	}
}
