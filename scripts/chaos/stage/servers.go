package stage

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/internal/lab/faulty"
	"github.com/tandemlb/tandem/scripts/chaos/load"
)

// server is one host that serves HTTP, an echo of TCP and an echo of datagrams.
type server struct {
	host *lab.Host
	web  *faulty.Server
	echo *faulty.Server
	mu   sync.Mutex
	udp  net.PacketConn // nil while it is crashed
	all  sync.WaitGroup
}

const webPort = 8080

func startServer(host *lab.Host) (*server, error) {
	s := &server{host: host}
	at := func(port uint16) string { return netip.AddrPortFrom(addressOf(host.Name()), port).String() }
	var err error
	if s.web, err = faulty.Start(faulty.Options{
		Address: at(webPort), Listen: host.Listen, Body: "chaos " + strings.Repeat("x", 1000), Spare: "/healthz",
	}); err != nil {
		return nil, err
	}
	if s.echo, err = faulty.Start(faulty.Options{Address: at(load.TCPPort), Listen: host.Listen, Protocol: faulty.TCP}); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// set has it misbehave, or behave again.
func (s *server) set(kind faulty.Kind) error {
	err := errors.Join(s.web.Set(faulty.Fault{Kind: kind}), s.echo.Set(faulty.Fault{Kind: kind}))
	if kind == faulty.Refuse {
		return errors.Join(err, s.shut())
	}
	return errors.Join(err, s.open())
}

// open starts the echo of datagrams.
func (s *server) open() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.udp != nil {
		return nil
	}
	err := s.host.Do(func() (err error) {
		s.udp, err = net.ListenPacket("udp4", netip.AddrPortFrom(addressOf(s.host.Name()), load.UDPPort).String())
		return err
	})
	if err != nil {
		return fmt.Errorf("listen for datagrams on %q: %w", s.host.Name(), err)
	}
	conn := s.udp
	s.all.Go(func() {
		b := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFrom(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				_, _ = conn.WriteTo(b[:n], from)
			}
		}
	})
	return nil
}

func (s *server) shut() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.udp == nil {
		return nil
	}
	err := s.udp.Close()
	s.udp = nil
	return err
}

func (s *server) close() error {
	err := s.shut()
	for _, f := range []*faulty.Server{s.web, s.echo} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	s.all.Wait()
	return err
}
