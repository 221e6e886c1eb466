// Package failover stages what a pair of load balancers is for: two of them,
// three servers and a client in a lab, traffic that never pauses, and events
// that take one balancer's work away. It measures what the client felt. What
// the balancers are is left to the caller; [Tandem] is a pair of this
// program's nodes.
package failover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/probe"
)

// The hosts of the scene.
const (
	LB1    = "lb1" // preferred
	LB2    = "lb2"
	Client = "client"
)

// Nodes returns the two load balancers and their addresses, the preferred one
// first.
func Nodes() []lab.HostSpec {
	return []lab.HostSpec{host(LB1, "10.77.0.1/24"), host(LB2, "10.77.0.2/24")}
}

// Servers returns the servers and their addresses. Each answers its name on
// port 80.
func Servers() []lab.HostSpec {
	return []lab.HostSpec{host("s1", "10.77.0.11/24"), host("s2", "10.77.0.12/24"), host("s3", "10.77.0.13/24")}
}

// VIP returns the address that the pair shares and the client asks, on port 80.
func VIP() netip.Prefix { return netip.MustParsePrefix("10.77.0.100/24") }

func host(name, address string) lab.HostSpec {
	return lab.HostSpec{Name: name, Addresses: []netip.Prefix{netip.MustParsePrefix(address)}}
}

// A Scene is the lab with its servers and its traffic.
type Scene struct {
	Lab     *lab.Lab
	Traffic *probe.Recorder

	servers []*http.Server
	prober  *lab.Process
	tasks   sync.WaitGroup // the servers and the recording of the traffic
}

// NewScene builds the lab and starts the servers. The caller closes it.
func NewScene() (*Scene, error) {
	spec := lab.Spec{Hosts: append(slices.Concat(Nodes(), Servers()), host(Client, "10.77.0.50/24"))}
	l, err := lab.New(spec)
	if err != nil {
		return nil, err
	}
	s := &Scene{Lab: l, Traffic: probe.NewRecorder()}
	for _, server := range Servers() {
		if err := s.serve(server); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

func (s *Scene) serve(spec lab.HostSpec) error {
	address := netip.AddrPortFrom(spec.Addresses[0].Addr(), 80)
	ln, err := s.Lab.Host(spec.Name).Listen("tcp", address.String())
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, spec.Name) // to a client that may have gone
	})}
	s.servers = append(s.servers, server)
	s.tasks.Go(func() { _ = server.Serve(ln) }) // until Close
	return nil
}

// StartTraffic starts a prober as a process of the client. The command is to
// run [RunProber] until SIGTERM.
func (s *Scene) StartTraffic(command *exec.Cmd) error {
	in, out, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start prober: %w", err)
	}
	defer out.Close()
	command.Stdout, command.Stderr = out, os.Stderr
	if s.prober, err = s.Lab.Host(Client).Start(command); err != nil {
		return errors.Join(err, in.Close())
	}
	s.tasks.Go(func() {
		defer in.Close()
		_ = s.Traffic.Record(in) // whoever waits for traffic is told
	})
	return nil
}

// RunProber asks the shared address every millisecond, from the network of the
// calling process, until ctx is canceled. It writes to out what StartTraffic
// reads. The process is to do nothing else.
func RunProber(ctx context.Context, out io.Writer) error {
	// Where this is not permitted, the measurement is merely less exact.
	_ = probe.Prioritize()
	target := netip.AddrPortFrom(VIP().Addr(), 80)
	return probe.Prober{Target: target, Every: time.Millisecond}.Run(ctx, out)
}

// StopTraffic ends the prober in good order: what it still knows is recorded.
func (s *Scene) StopTraffic() error {
	if err := s.prober.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := s.prober.Err(); err != nil {
		return fmt.Errorf("stop prober: %w", err)
	}
	return nil
}

// Owners returns the load balancers whose kernel holds the shared address.
func (s *Scene) Owners() ([]string, error) {
	var owners []string
	for _, node := range Nodes() {
		has, err := s.Lab.Host(node.Name).Has(VIP().Addr())
		if err != nil {
			return nil, err
		}
		if has {
			owners = append(owners, node.Name)
		}
	}
	return owners, nil
}

// Close ends everything that runs in the scene.
func (s *Scene) Close() error {
	var errs []error
	for _, server := range s.servers {
		errs = append(errs, server.Close())
	}
	errs = append(errs, s.Lab.Close())
	s.tasks.Wait()
	return errors.Join(errs...)
}
