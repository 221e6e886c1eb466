package worker

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/ipc"
)

// A supervisor that does not read gets every answer in the end, but of the states
// only the newest.
func TestOutboxKeepsTheNewestState(t *testing.T) {
	state := func(name string) ipc.FromWorker {
		return ipc.FromWorker{State: &ipc.WorkerState{Pools: []ipc.PoolState{{Name: name}}}}
	}
	pong := func(seq uint64) ipc.FromWorker { return ipc.FromWorker{Pong: &ipc.Ping{Seq: seq}} }
	applied := ipc.FromWorker{Applied: &ipc.Applied{Generation: 1}}

	o := newOutbox()
	for _, m := range []ipc.FromWorker{pong(1), state("a"), applied, state("b"), pong(2), state("c")} {
		o.put(m)
	}
	got, ok := o.take()
	want := []ipc.FromWorker{pong(1), state("c"), applied, pong(2)}
	if diff := cmp.Diff(want, got); diff != "" || !ok {
		t.Errorf("queue, %v (-want +got):\n%s", ok, diff)
	}
	o.put(state("d"))
	o.close()
	if _, ok := o.take(); ok {
		t.Error("the outbox is open after close")
	}
}
