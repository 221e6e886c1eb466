package usage

import (
	"os"
	"runtime"
	"testing"
	"time"
)

func TestReadSeesThisProcess(t *testing.T) {
	before := Read()
	if before.Memory < 1<<20 || before.Memory > 1<<40 || before.Goroutines < 1 || before.Descriptors < 3 {
		t.Errorf("this process uses %+v", before)
	}
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make(chan struct{})
	defer close(block)
	for range 10 {
		go func() { <-block }()
	}
	for began := time.Now(); cpu() < before.CPU+20*time.Millisecond; {
		if time.Since(began) > time.Minute {
			t.Fatal("no CPU time is seen")
		}
		runtime.Gosched()
	}
	after := Read()
	if after.CPU < before.CPU+20*time.Millisecond || after.Descriptors <= before.Descriptors || after.Goroutines < before.Goroutines+10 {
		t.Errorf("this process used %+v before it did something, and %+v then", before, after)
	}
}
