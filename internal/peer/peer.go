package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"go.uber.org/zap"
)

// rejoinEvery is how often a node that is missing is called again.
const rejoinEvery = 2 * time.Second

// leaveTimeout bounds the goodbye to the others.
const leaveTimeout = 500 * time.Millisecond

// Node is a member of the cluster as the config names it.
type Node struct {
	Name    string
	Address netip.Addr
}

// Options configures a Cluster.
type Options struct {
	Self   Node
	Others []Node
	Port   uint16 // TCP and UDP, on the node's own address
	Key    []byte // 16, 24 or 32 bytes; nil: nothing is encrypted
	Log    *zap.Logger
	// Changed, when set, is called whenever a View changes; it must not block.
	Changed func()
	// Receive, when set, takes what another node told by Tell; it must not block.
	Receive func(body []byte)
}

// Cluster is this node's membership. Its methods may be called concurrently.
type Cluster struct {
	o Options

	mu    sync.Mutex
	own   State
	views map[string]*View
	list  *memberlist.Memberlist // nil while it could not be started; written by Run alone
	err   error                  // why not
	sendC chan struct{}          // capacity 1: own has changed
	tell  []told
	tellC chan struct{} // capacity 1: there is something to tell

	deliver func(*memberlist.Memberlist, *memberlist.Node, []byte) error // over TCP, but in tests
}

// told is what another node is to be told beside the state.
type told struct {
	node string
	body []byte
}

// maxTold bounds what waits to be told. Who has not heard of it asks again.
const maxTold = 64

// tellMark begins what is not a State, which begins with a brace.
const tellMark = 'T'

// New returns a Cluster that knows the others but has not heard of them.
func New(o Options) *Cluster {
	c := &Cluster{
		o: o, views: map[string]*View{}, sendC: make(chan struct{}, 1), tellC: make(chan struct{}, 1),
		err: errors.New("not started yet"), deliver: (*memberlist.Memberlist).SendReliable,
	}
	now := time.Now()
	c.own = State{Node: o.Self.Name, Started: now}
	for _, n := range o.Others {
		c.views[n.Name] = &View{Name: n.Name, Address: n.Address, Since: now}
	}
	return c
}

// Run keeps the node a member until ctx is done. A network that is not there
// yet is tried again; the error is shown by Err meanwhile.
func (c *Cluster) Run(ctx context.Context) error {
	ticker := time.NewTicker(rejoinEvery)
	defer ticker.Stop()
	// What is told may be large, and the state must not wait for it.
	var teller sync.WaitGroup
	defer teller.Wait()
	teller.Go(func() { c.runTeller(ctx) })
	defer c.stop()
	c.connect()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.sendC:
			c.send()
		case <-ticker.C:
			c.connect()
		}
	}
}

// Publish changes what this node says of itself, and tells the others.
func (c *Cluster) Publish(change func(*State)) {
	c.mu.Lock()
	change(&c.own)
	c.own.Reason = clip(c.own.Reason)
	c.own.VIPs = clipped(c.own.VIPs)
	if len(c.o.Key) == 0 {
		c.own.Tickets = nil // everybody could read them
	}
	c.own.Seq++
	c.mu.Unlock()
	wake(c.sendC)
}

// Tell sends body to another node, which gives it to its Receive. It may be lost, and
// nobody learns so.
func (c *Cluster) Tell(node string, body []byte) {
	c.mu.Lock()
	if len(c.tell) < maxTold {
		c.tell = append(c.tell, told{node, append([]byte{tellMark}, body...)})
	}
	c.mu.Unlock()
	wake(c.tellC)
}

func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Views returns what is known of the others, by name.
func (c *Cluster) Views() []View {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []View
	for _, n := range c.o.Others {
		all = append(all, *c.views[n.Name])
	}
	return all
}

// Err returns why the node is not a member; nil when it is.
func (c *Cluster) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// connect starts the membership and calls those who are missing.
func (c *Cluster) connect() {
	if c.list == nil {
		list, err := memberlist.Create(c.config())
		c.mu.Lock()
		if err == nil {
			c.list = list
		} else {
			err = fmt.Errorf("join the cluster from %s: %w", netip.AddrPortFrom(c.o.Self.Address, c.o.Port), err)
		}
		if err != nil && (c.err == nil || c.err.Error() != err.Error()) {
			c.o.Log.Warn("not a member of the cluster, trying again", zap.Error(err))
		}
		c.err = err
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
	for _, v := range c.Views() {
		if !v.Alive {
			// The others call too: a failure is not the end.
			_, err := c.list.Join([]string{netip.AddrPortFrom(v.Address, c.o.Port).String()})
			c.called(v.Name, err)
		}
	}
}

// called takes note of a call to a member that was missing, and logs a failure
// when its cause is another than last time.
func (c *Cluster) called(name string, err error) {
	if one := errors.Unwrap(err); one != nil {
		err = one // of memberlist's list, which has several lines
	}
	if err != nil && strings.Contains(err.Error(), "crypt") {
		err = fmt.Errorf("%w (hint: cluster.key_file must name the same key on both nodes)", err)
	}
	c.mu.Lock()
	v := c.views[name]
	if v.Alive { // it has called meanwhile
		err = nil
	}
	news := err != nil && (v.Err == nil || cause(err) != cause(v.Err))
	v.Err = err
	c.mu.Unlock()
	if news {
		c.o.Log.Warn("peer cannot be called, trying again", zap.String("peer", name), zap.Error(err))
	}
}

// cause is the end of an error's text: what is before it can name another local
// port each time.
func cause(err error) string {
	text := err.Error()
	return text[strings.LastIndex(text, ": ")+1:]
}

func (c *Cluster) config() *memberlist.Config {
	cfg := memberlist.DefaultLANConfig()
	cfg.Name = c.o.Self.Name
	cfg.BindAddr, cfg.BindPort = c.o.Self.Address.String(), int(c.o.Port)
	cfg.AdvertiseAddr, cfg.AdvertisePort = cfg.BindAddr, cfg.BindPort
	cfg.SecretKey = c.o.Key
	// Two nodes on a LAN: the defaults are made for hundreds.
	cfg.ProbeInterval, cfg.ProbeTimeout = 500*time.Millisecond, 200*time.Millisecond
	cfg.SuspicionMult = 2
	cfg.TCPTimeout = time.Second
	cfg.PushPullInterval = 5 * time.Second
	cfg.GossipToTheDeadTime = 5 * time.Second
	cfg.DeadNodeReclaimTime = time.Second // a node may come back from another address
	cfg.Delegate = delegate{c}
	cfg.Events = events{c}
	cfg.Logger = log.New(logWriter{c.o.Log}, "", 0)
	return cfg
}

func (c *Cluster) stop() {
	if c.list == nil {
		return
	}
	if err := c.list.Leave(leaveTimeout); err != nil {
		c.o.Log.Debug("leave the cluster", zap.Error(err))
	}
	if err := c.list.Shutdown(); err != nil {
		c.o.Log.Warn("stop the cluster membership", zap.Error(err))
	}
}

// send tells every other member our state; TCP, because it may be large.
func (c *Cluster) send() {
	if c.list == nil {
		return
	}
	b := c.encodeOwn()
	for _, m := range c.list.Members() {
		if m.Name == c.o.Self.Name {
			continue
		}
		if err := c.deliver(c.list, m, b); err != nil {
			c.o.Log.Debug("send state to the peer", zap.String("peer", m.Name), zap.Error(err))
		}
	}
}

// runTeller sends what is to be told, until ctx is done.
func (c *Cluster) runTeller(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.tellC:
			c.tellAll(ctx)
		}
	}
}

// tellAll sends what is to be told. Who does not take something is told nothing more of
// it.
func (c *Cluster) tellAll(ctx context.Context) {
	c.mu.Lock()
	all, list := c.tell, c.list
	c.tell = nil
	c.mu.Unlock()
	if list == nil {
		return
	}
	for _, m := range list.Members() {
		for _, t := range all {
			if t.node != m.Name || m.Name == c.o.Self.Name {
				continue
			}
			if ctx.Err() != nil {
				return
			}
			if err := c.deliver(list, m, t.body); err != nil {
				c.o.Log.Debug("tell the peer", zap.String("peer", m.Name), zap.Error(err))
				break
			}
		}
	}
}

func (c *Cluster) encodeOwn() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, err := json.Marshal(c.own)
	if err != nil {
		panic(fmt.Sprintf("peer: encode own state: %v", err))
	}
	return b
}

// heard takes the state of another node.
func (c *Cluster) heard(b []byte) {
	if len(b) > 0 && b[0] == tellMark {
		if c.o.Receive != nil {
			c.o.Receive(b[1:])
		}
		return
	}
	s, err := decode(b)
	if len(c.o.Key) == 0 {
		s.Tickets = nil // anybody could have made them
	}
	if err != nil {
		c.o.Log.Warn("ignored a message of the cluster", zap.Error(err))
		return
	}
	c.mu.Lock()
	v := c.views[s.Node]
	news := v != nil && v.Hear(s, time.Now())
	c.mu.Unlock()
	if v == nil && s.Node != c.o.Self.Name {
		c.o.Log.Warn("ignored a node that the config does not name", zap.String("peer", s.Node))
	}
	if news && c.o.Changed != nil {
		c.o.Changed()
	}
}

// alive takes note of a member that came or went.
func (c *Cluster) alive(name string, alive bool) {
	c.mu.Lock()
	v := c.views[name]
	news := v != nil && v.Notice(alive, time.Now())
	c.mu.Unlock()
	if !news {
		return
	}
	c.o.Log.Info("peer", zap.String("peer", name), zap.Bool("alive", alive))
	if alive {
		c.Publish(func(*State) {})
	}
	if c.o.Changed != nil {
		c.o.Changed()
	}
}

// delegate is memberlist's view of a Cluster. Its methods must not block.
type delegate struct{ c *Cluster }

func (d delegate) NodeMeta(int) []byte               { return nil }
func (d delegate) NotifyMsg(b []byte)                { d.c.heard(slices.Clone(b)) }
func (d delegate) GetBroadcasts(int, int) [][]byte   { return nil }
func (d delegate) LocalState(bool) []byte            { return d.c.encodeOwn() }
func (d delegate) MergeRemoteState(b []byte, _ bool) { d.c.heard(b) }

// events is told who comes and goes.
type events struct{ c *Cluster }

func (e events) NotifyJoin(n *memberlist.Node)   { e.c.alive(n.Name, true) }
func (e events) NotifyLeave(n *memberlist.Node)  { e.c.alive(n.Name, false) }
func (e events) NotifyUpdate(n *memberlist.Node) {}

// logWriter passes memberlist's lines on. They are at debug level: what matters
// of them is logged by this package, once.
type logWriter struct{ log *zap.Logger }

func (w logWriter) Write(b []byte) (int, error) {
	w.log.Debug("memberlist", zap.ByteString("line", trimNewline(b)))
	return len(b), nil
}

func trimNewline(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == '\n' {
		b = b[:len(b)-1]
	}
	return b
}
