package inbox

import "testing"

func TestASleeperIsWokenOnce(t *testing.T) {
	var b Inbox
	wakes, ran := 0, ""
	put := func(name string) {
		if !b.Put(func() { ran += name }, func() { wakes++ }) {
			t.Fatalf("put %s: closed", name)
		}
	}
	put("a")
	if wakes != 0 {
		t.Error("woken while awake")
	}
	b.Asleep.Store(true)
	put("b")
	put("c")
	if wakes != 1 {
		t.Errorf("woken %d times, want 1", wakes)
	}
	for _, f := range b.Take(nil) {
		f()
	}
	if ran != "abc" || !b.Empty() {
		t.Errorf("ran %q and empty %v, want abc and nothing left", ran, b.Empty())
	}
}

func TestOnlyAnEmptyInboxIsClosed(t *testing.T) {
	var b Inbox
	b.Put(func() {}, func() {})
	if b.Close() {
		t.Error("closed with a function in it")
	}
	b.Take(nil)
	if !b.Close() {
		t.Error("not closed when empty")
	}
	if b.Put(func() {}, func() {}) {
		t.Error("put into a closed one")
	}
}
