package netio

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// GatewayOptions configures WatchGateway.
type GatewayOptions struct {
	Interface string
	// Self is the address that asks, and Gateway the one that is to answer, both of
	// one family. Self must be one that stays on this host, never a virtual one; for
	// IPv6 it is the link-local address. Zones are ignored.
	Self, Gateway netip.Addr
	Every         time.Duration // from question to question, give or take 10 %
	Misses        int           // unanswered questions in a row that make the gateway lost
}

func (o GatewayOptions) check() error {
	if err := errors.Join(checkHost(o.Self), checkHost(o.Gateway)); err != nil {
		return err
	}
	switch {
	case o.Self.Is4() != o.Gateway.Is4():
		return fmt.Errorf("%s cannot ask a gateway of the other address family", o.Self)
	case o.Every <= 0:
		return fmt.Errorf("interval %s is not positive", o.Every)
	case o.Misses < 1:
		return fmt.Errorf("%d misses: at least one question must go unanswered", o.Misses)
	}
	return nil
}

// WatchGateway asks the gateway for its MAC address, by ARP or neighbour
// solicitation, until ctx is done, and then returns nil. It calls changed with the
// first verdict, which takes an answer or Misses questions without one, and then
// whenever the verdict changes: one answer is enough. Nothing is answered on an
// interface that is down or missing, but that is no error. The calling goroutine
// must stay in its network namespace.
func WatchGateway(ctx context.Context, o GatewayOptions, changed func(alive bool)) error {
	o.Self, o.Gateway = o.Self.WithZone(""), o.Gateway.WithZone("")
	w := gatewayWatch{o: o, count: reachability{misses: o.Misses}, changed: changed}
	defer w.close()
	err := o.check()
	for err == nil && ctx.Err() == nil {
		err = w.round(ctx, time.Now().Add(jitter(o.Every, rand.Float64())))
	}
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("watch gateway %s on %q: %w", o.Gateway, o.Interface, explain(err))
}

// jitter returns a duration that is at most a tenth shorter or longer, as the
// fraction of 0 to 1 says.
func jitter(d time.Duration, fraction float64) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*fraction))
}

// reachability makes a verdict of answers and misses.
type reachability struct {
	misses int // in a row, that make the gateway lost
	missed int // in a row
	known  bool
	alive  bool
}

// note takes in whether a question was answered, and reports whether the verdict
// has changed.
func (r *reachability) note(answered bool) (changed bool) {
	was := *r
	if answered {
		r.missed, r.known, r.alive = 0, true, true
	} else if r.missed++; r.missed >= r.misses {
		r.missed, r.known, r.alive = r.misses, true, false
	}
	return r.known != was.known || r.alive != was.alive
}

// gatewayWatch belongs to the goroutine of WatchGateway.
type gatewayWatch struct {
	o       GatewayOptions
	count   reachability
	changed func(alive bool)
	conn    *frameConn // nil while there is no usable interface
}

// round asks once, and takes in what is answered until the end.
func (w *gatewayWatch) round(ctx context.Context, end time.Time) error {
	answered, err := w.ask(ctx, end)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		w.close()
		if !Retryable(err) {
			return err
		}
		w.pause(ctx, end)
	}
	if ctx.Err() == nil && !answered {
		w.note(false)
	}
	return nil
}

// ask returns at the end, or when something fails.
func (w *gatewayWatch) ask(ctx context.Context, end time.Time) (answered bool, err error) {
	if w.conn == nil {
		if w.conn, err = w.o.listen(); err != nil {
			return false, err
		}
	}
	conn := w.conn
	if err := conn.SetReadDeadline(end); err != nil {
		return false, err
	}
	stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	question, err := w.o.question(conn)
	if err != nil {
		return false, err
	}
	if err := conn.send(question); err != nil {
		return false, err
	}
	b := make([]byte, maxFrame)
	for {
		_, _, err := conn.ReadFrom(b) // the filter lets only answers through
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			// A host that was stalled comes back too late to be let read the answer
			// that waits for it.
			late, err := conn.tryRead(b)
			if late {
				w.note(true)
			}
			return answered || late, err
		case err != nil:
			return answered, err
		}
		answered = true
		w.note(true)
	}
}

func (w *gatewayWatch) note(answered bool) {
	if w.count.note(answered) {
		w.changed(w.count.alive)
	}
}

// pause waits until the end of a round.
func (w *gatewayWatch) pause(ctx context.Context, end time.Time) {
	t := time.NewTimer(time.Until(end))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (w *gatewayWatch) close() {
	if w.conn != nil {
		w.conn.Close()
		w.conn = nil
	}
}

// listen opens a socket that receives what the gateway answers to Self.
func (o GatewayOptions) listen() (*frameConn, error) {
	ifi, err := lookup(o.Interface)
	if err != nil {
		return nil, err
	}
	etherType, program := unix.ETH_P_ARP, o.answersARP()
	if o.Self.Is6() {
		etherType, program = unix.ETH_P_IPV6, o.answersNDP()
	}
	filter, err := assemble(program)
	if err != nil {
		return nil, err
	}
	return openFrameConn(ifi, etherType, filter)
}

// answersARP admits replies of the gateway to Self.
func (o GatewayOptions) answersARP() []bpf.Instruction {
	fields := append(arpFields(), field{arpOperation, 2, 2})
	fields = append(fields, addressFields(arpTarget, o.Self)...)
	return admit(fields, arpSender, []netip.Addr{o.Gateway})
}

// answersNDP admits advertisements of the gateway to Self.
func (o GatewayOptions) answersNDP() []bpf.Instruction {
	fields := append(advertisementFields(), addressFields(ipv6Destination, o.Self)...)
	return admit(fields, neighbourAt, []netip.Addr{o.Gateway})
}

// question returns the frame that asks, from the interface's MAC address as it is
// now.
func (o GatewayOptions) question(conn *frameConn) ([]byte, error) {
	mac, err := conn.hardwareAddr()
	if err != nil {
		return nil, err
	}
	build := arpRequest
	if o.Self.Is6() {
		build = solicitation
	}
	frames, err := build(o.Gateway, mac, o.Self)
	if err != nil {
		return nil, err
	}
	return frames[0], nil
}
