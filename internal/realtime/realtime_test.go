package realtime

import (
	"strings"
	"testing"
)

// What is missing is not what is there already.
func TestTheHintNamesWhatIsMissing(t *testing.T) {
	for capable, want := range map[bool]string{false: "--cap-add SYS_NICE", true: "--cpu-rt-runtime"} {
		if got := hint(capable); !strings.Contains(got, want) {
			t.Errorf("capable %t: %q does not say %q", capable, got, want)
		}
	}
}
