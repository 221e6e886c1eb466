package vrrp_test

import (
	"encoding"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/tandemlb/tandem/vrrp"
)

// Whatever has a name is published by it, and read again by those who show it.
func TestNames(t *testing.T) {
	testNames(t, "role 9", map[vrrp.Role]string{
		vrrp.Init: "init", vrrp.Backup: "backup", vrrp.Active: "active",
	})
	testNames(t, "checksum form 9", map[vrrp.ChecksumForm]string{
		vrrp.PseudoHeader: "pseudo-header", vrrp.MessageOnly: "message only",
	})
	testNames(t, "fact 9", map[vrrp.Fact]string{
		vrrp.Unknown: "unknown", vrrp.Yes: "yes", vrrp.No: "no",
	})
	testNames(t, "new active reason 9", map[vrrp.NewActiveReason]string{
		vrrp.NotActive: "notActive", vrrp.ByPriority: "priority",
		vrrp.ByPreemption: "preempted", vrrp.NoResponse: "noResponse",
	})
}

func testNames[T interface {
	~uint8
	fmt.Stringer
}](t *testing.T, unknown string, names map[T]string) {
	t.Helper()
	for v, want := range names {
		text, err := json.Marshal(v)
		if err != nil || string(text) != `"`+want+`"` {
			t.Errorf("marshalled %d as %s, error %v; want %q", uint8(v), text, err, want)
		}
		got := T(99)
		if err := json.Unmarshal(text, &got); err != nil || got != v {
			t.Errorf("unmarshalled %s as %v, error %v", text, got, err)
		}
	}
	if got := T(9).String(); got != unknown {
		t.Errorf("the unknown value is %q, want %q", got, unknown)
	}
	var v T
	if err := any(&v).(encoding.TextUnmarshaler).UnmarshalText([]byte("master")); err == nil {
		t.Errorf("unmarshalled %q as %v, want an error", "master", v)
	}
}

func TestUnknownNameListsTheKnown(t *testing.T) {
	var r vrrp.Role
	err := r.UnmarshalText([]byte("master"))
	if got, want := fmt.Sprint(err), `unknown role "master": want one of [init backup active]`; got != want {
		t.Errorf("error is %q, want %q", got, want)
	}
}
