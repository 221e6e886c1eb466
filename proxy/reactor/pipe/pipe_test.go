package pipe

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestAPipeWithBytesIsNotUsedAgain(t *testing.T) {
	var p Pool
	defer p.Close()
	first, err := p.Take()
	if err != nil {
		t.Fatal(err)
	}
	p.Put(first, 0)
	second, err := p.Take()
	if err != nil || second != first {
		t.Fatalf("took %v, %v; want %v, which is empty", second, err, first)
	}
	if _, err := unix.Write(int(second.W), []byte("left")); err != nil {
		t.Fatal(err)
	}
	p.Put(second, len("left"))
	if p.Len() != 0 {
		t.Error("the pipe is kept with bytes in it")
	}
}

func TestAPoolIsBoundedAndClosed(t *testing.T) {
	before := descriptors(t)
	var p Pool
	var taken []Pipe
	for range kept + 3 {
		one, err := p.Take()
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, one)
	}
	for _, one := range taken[1:] {
		p.Put(one, 0)
	}
	if got := p.Len(); got != kept {
		t.Errorf("%d pipes are kept, want %d", got, kept)
	}
	p.Close()
	p.Put(taken[0], 0)
	if got := descriptors(t); got != before {
		t.Errorf("%d descriptors are open, want %d", got, before)
	}
}
