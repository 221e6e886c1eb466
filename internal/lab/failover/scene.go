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
	"os/exec"
	"slices"
	"sync"
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

// VIP2 returns the second address of a pair that shares two.
func VIP2() netip.Prefix { return netip.MustParsePrefix("10.77.0.101/24") }

func host(name, address string) lab.HostSpec {
	return lab.HostSpec{Name: name, Addresses: []netip.Prefix{netip.MustParsePrefix(address)}}
}

// A Spec says what a scene is made of. The zero Spec has one address, [VIP], and
// servers that behave.
type Spec struct {
	Addresses []netip.Prefix // that the pair shares, one flow of traffic for each
	// Serve starts a server on the host, which is one of Servers.
	Serve func(host *lab.Host, spec lab.HostSpec) (io.Closer, error)
}

// A Scene is the lab with its servers and its traffic.
type Scene struct {
	Lab   *lab.Lab
	Flows []*Flow // one for each address, at least one

	servers []io.Closer
	tasks   sync.WaitGroup // the recording of the traffic
}

// NewScene builds the lab and starts the servers. The caller closes it.
func NewScene(spec Spec) (*Scene, error) {
	if len(spec.Addresses) == 0 {
		spec.Addresses = []netip.Prefix{VIP()}
	}
	if spec.Serve == nil {
		spec.Serve = serveName
	}
	l, err := lab.New(lab.Spec{Hosts: append(slices.Concat(Nodes(), Servers()), host(Client, "10.77.0.50/24"))})
	if err != nil {
		return nil, err
	}
	s := &Scene{Lab: l}
	for _, a := range spec.Addresses {
		s.Flows = append(s.Flows, &Flow{Address: a, Traffic: probe.NewRecorder(), lab: l})
	}
	for _, h := range Servers() {
		server, err := spec.Serve(l.Host(h.Name), h)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.servers = append(s.servers, server)
	}
	return s, nil
}

// namedServer answers its name.
type namedServer struct {
	http  *http.Server
	ended chan struct{}
}

func serveName(h *lab.Host, spec lab.HostSpec) (io.Closer, error) {
	ln, err := h.Listen("tcp", netip.AddrPortFrom(spec.Addresses[0].Addr(), 80).String())
	if err != nil {
		return nil, err
	}
	s := &namedServer{ended: make(chan struct{}), http: &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, spec.Name) // to a client that may have gone
		}),
	}}
	go func() {
		defer close(s.ended)
		_ = s.http.Serve(ln) // until Close
	}()
	return s, nil
}

func (s *namedServer) Close() error {
	err := s.http.Close()
	<-s.ended
	return err
}

// Owners returns the load balancers whose kernel holds the first address.
func (s *Scene) Owners() ([]string, error) { return s.Flows[0].Owners() }

// StartTraffic starts a prober for each address, as processes of the client. The
// command is to run [RunProber] for the address until SIGTERM.
func (s *Scene) StartTraffic(command func(target netip.Addr) *exec.Cmd) error {
	for _, f := range s.Flows {
		record, err := f.start(command(f.Address.Addr()))
		if err != nil {
			return err
		}
		s.tasks.Go(record)
	}
	return nil
}

// StopTraffic ends the probers in good order: what they still know is recorded.
func (s *Scene) StopTraffic() error {
	var errs []error
	for _, f := range s.Flows {
		errs = append(errs, f.stop())
	}
	return errors.Join(errs...)
}

// WaitCalm waits until every request of the last moments was answered, of every
// flow, and returns the time up to which that is known.
func (s *Scene) WaitCalm(ctx context.Context) (time.Time, error) {
	var end time.Time
	for _, f := range s.Flows {
		t, err := f.WaitCalm(ctx)
		if err != nil {
			return t, err
		}
		end = t
	}
	// The flows that came first were calm earlier; nothing of theirs is open now.
	for _, f := range s.Flows {
		if err := f.Traffic.WaitSettled(ctx, end); err != nil {
			return end, fmt.Errorf("traffic does not flow: %w", err)
		}
	}
	return end, nil
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
