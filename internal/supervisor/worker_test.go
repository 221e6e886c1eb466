package supervisor

import (
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/judge"
	"github.com/tandemlb/tandem/proxy"
)

// Only a check says whether a server is reached.
func TestOnlyCheckedServersAreCounted(t *testing.T) {
	check := proxy.Check{Kind: proxy.CheckTCP, Every: 2 * time.Second, Timeout: time.Second, Fall: 3}
	v := workerView{serving: ipc.WorkerConfig{Spec: proxy.Spec{Pools: []proxy.Pool{{Check: check}}}}}
	notices := judge.Notices(v.serving.Spec)
	if got, want := v.servers(), (judge.Servers{Notices: notices}); got != want || notices == 0 {
		t.Errorf("before the worker has reported: %+v, want %+v", got, want)
	}
	v.state = &ipc.WorkerState{Pools: []ipc.PoolState{
		{Servers: []ipc.ServerState{{Checked: true, Health: "up"}, {Checked: true, Health: "down"}, {Checked: true, Health: "unknown"}}},
		{Servers: []ipc.ServerState{{Health: "down"}, {Health: "up"}}},
	}}
	if got, want := v.servers(), (judge.Servers{Checked: 3, Reachable: 2, Notices: notices}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
