package labtest

import (
	"testing"
	"time"
)

// Eventually waits until ok, which also says what it sees, and ends the test with that when
// it is not within a time.
func Eventually(t testing.TB, within time.Duration, what string, ok func() (good bool, seen string)) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		good, seen := ok()
		if good {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline.C:
			t.Fatalf("not within %v: %s; at last:\n%s", within, what, seen)
		}
	}
}
