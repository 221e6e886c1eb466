package failover_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/arp"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/failover"
)

// TestMain runs the test binary as the prober when the scene starts it so.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "prober" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		if err := failover.RunProber(ctx, netip.MustParseAddr(os.Args[2]), os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// stage builds a scene where the test itself answers for both balancers, lb1
// holds the address, and traffic flows.
func stage(t *testing.T) *failover.Scene {
	t.Helper()
	s, err := failover.NewScene(failover.Spec{})
	if errors.Is(err, lab.ErrNotPermitted) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, node := range failover.Nodes() {
		balance(t, s, node.Name)
	}
	take(t, s, failover.LB1)
	if err := s.StartTraffic(prober); err != nil {
		t.Fatal(err)
	}
	if _, err := s.WaitCalm(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// prober runs the test binary as the prober.
func prober(target netip.Addr) *exec.Cmd {
	return exec.Command("/proc/self/exe", "prober", target.String())
}

// balance answers on the node's port 80 as if it had asked a server.
func balance(t *testing.T, s *failover.Scene, node string) {
	t.Helper()
	ln, err := s.Lab.Host(node).Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, node)
	})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(ln)
	}()
	t.Cleanup(func() { server.Close(); <-ended })
}

// take adds the address to the node and announces it.
func take(t *testing.T, s *failover.Scene, node string) {
	t.Helper()
	host := s.Lab.Host(node)
	if err := host.AddAddress(failover.VIP()); err != nil {
		t.Fatal(err)
	}
	if err := host.Do(func() error { return announce(failover.VIP().Addr()) }); err != nil {
		t.Fatal(err)
	}
}

func announce(a netip.Addr) error {
	ifi, err := net.InterfaceByName(lab.Interface)
	if err != nil {
		return err
	}
	c, err := arp.Dial(ifi)
	if err != nil {
		return err
	}
	defer c.Close()
	broadcast := net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	p, err := arp.NewPacket(arp.OperationRequest, ifi.HardwareAddr, a, broadcast, a)
	if err != nil {
		return err
	}
	return c.WriteTo(p, broadcast)
}

func TestMeasureTakeover(t *testing.T) {
	s := stage(t)
	outcomes, err := s.Measure(t.Context(), failover.Event{
		Name:  "handover",
		Heirs: []string{failover.LB2},
		Do: func() error {
			if err := s.Lab.Host(failover.LB1).DelAddress(failover.VIP()); err != nil {
				return err
			}
			take(t, s, failover.LB2)
			return nil
		},
		AloneWithin: time.Second,
		Phase:       10 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	o := outcomes[0]
	if diff := cmp.Diff("lb1 → lb2", o.Handover()); diff != "" {
		t.Errorf("handover (-want +got):\n%s", diff)
	}
	if o.Window.Requests == 0 || o.Window.Outage <= 0 {
		t.Errorf("nothing was measured: %+v", o.Window)
	}
	if err := s.StopTraffic(); err != nil {
		t.Error(err)
	}
	if totals := s.Flows[0].Traffic.Totals(); totals.Requests < o.Window.Requests {
		t.Errorf("totals %+v are less than the window %+v", totals, o.Window)
	}
}

func TestMeasureShowsTwoOwners(t *testing.T) {
	s := stage(t)
	outcomes, err := s.Measure(t.Context(), failover.Event{
		Name:        "both",
		Heirs:       []string{failover.LB2},
		Do:          func() error { take(t, s, failover.LB2); return nil },
		AloneWithin: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	o := outcomes[0]
	if diff := cmp.Diff("lb1 → lb1+lb2", o.Handover()); diff != "" {
		t.Errorf("handover (-want +got):\n%s", diff)
	}
}

func TestMeasureReportsWhatDidNotHappen(t *testing.T) {
	s := stage(t)
	boom := errors.New("boom")
	short := func(t *testing.T) context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	for _, test := range []struct {
		name  string
		event failover.Event
		want  string
	}{
		{"the event fails", failover.Event{Name: "x", Heirs: []string{failover.LB2}, Do: func() error { return boom }}, "x: boom"},
		{"nobody takes over", failover.Event{Name: "x", Heirs: []string{failover.LB2}, Do: func() error { return nil }},
			`x: lb2 does not take the address over: context deadline exceeded: it is held by ["lb1"]`},
		{"the client is not told", failover.Event{Name: "x", Heirs: []string{failover.LB2}, Do: func() error {
			return s.Lab.Host(failover.LB2).AddAddress(failover.VIP())
		}}, `x: lb2 does not take the address over: context deadline exceeded: it is held by ["lb1" "lb2"]`},
		{"the heir is out of reach", failover.Event{Name: "x", Heirs: []string{failover.LB1}, Do: s.Lab.Host(failover.LB1).CutSilently},
			"x: traffic does not flow: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := s.Measure(short(t), test.event)
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	want := `nodes: {lb1: 10.77.0.1, lb2: 10.77.0.2}
vips:
  main: {addresses: [10.77.0.100/24], advertise: 20ms}
listeners:
  web: {bind: ":80", servers: ["10.77.0.11:80", "10.77.0.12:80", "10.77.0.13:80"], check: GET /}
`
	if diff := cmp.Diff(want, failover.Config(20*time.Millisecond)); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	want = strings.Replace(want, "  main: {addresses: [10.77.0.100/24], advertise: 20ms}\n",
		"  one: {addresses: [10.77.0.100/24], prefer: lb1, advertise: 20ms}\n"+
			"  two: {addresses: [10.77.0.101/24], prefer: lb2, advertise: 20ms}\n", 1)
	if diff := cmp.Diff(want, failover.ConfigOfTwo(20*time.Millisecond)); diff != "" {
		t.Errorf("config of two (-want +got):\n%s", diff)
	}
}

func TestEveryAddressHasAnHeir(t *testing.T) {
	s := &failover.Scene{Flows: make([]*failover.Flow, 2)}
	_, err := s.Measure(t.Context(), failover.Event{Name: "x", Heirs: []string{failover.LB1}})
	if diff := cmp.Diff("x: 1 heirs are named for 2 addresses", fmt.Sprint(err)); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}
