package child

import (
	"os"
	"slices"
	"testing"
)

func TestChildrenDoNotTalkToTheServiceManager(t *testing.T) {
	got := environment([]string{"PATH=/bin", "NOTIFY_SOCKET=/run/x", "WATCHDOG_USEC=1", "WATCHDOG_PID=2", "GORACE=a"})
	if want := []string{"PATH=/bin", "GORACE=a"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWorkerUserIsNotRoot(t *testing.T) {
	cred := Unprivileged()
	if os.Geteuid() != 0 {
		if cred != nil {
			t.Errorf("got %+v for a user without privilege", cred)
		}
		return
	}
	if cred == nil || cred.Uid == 0 || cred.Gid == 0 {
		t.Errorf("got %+v", cred)
	}
}
