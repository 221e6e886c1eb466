package side

import (
	"os"
	"testing"
)

func TestParseResident(t *testing.T) {
	got, err := parseResident("55d0c0000000-7ffd00000000 ---p 00000000 00:00 0    [rollup]\nRss:                1234 kB\nPss:                 900 kB\n")
	if err != nil || got != 1234<<10 {
		t.Errorf("got %d, %v; want %d", got, err, 1234<<10)
	}
	for _, bad := range []string{"", "Pss: 1 kB\n", "Rss: many kB\n"} {
		if got, err := parseResident(bad); err == nil {
			t.Errorf("%q: got %d, want an error", bad, got)
		}
	}
}

func TestOwnMemoryIsSeen(t *testing.T) {
	bytes, err := Resident([]int{os.Getpid()})
	if err != nil || bytes < 1<<20 {
		t.Errorf("got resident memory %d, %v; want a megabyte or more", bytes, err)
	}
}
