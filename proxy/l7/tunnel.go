package l7

import (
	"time"

	"github.com/tandemlb/tandem/proxy/accesslog"
	"github.com/tandemlb/tandem/proxy/backend"
	"github.com/tandemlb/tandem/proxy/http1"
	"github.com/tandemlb/tandem/proxy/retry"
	"github.com/tandemlb/tandem/proxy/tunnel"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// switchProtocols passes the 101 on, and what came behind it on either side. Then
// the connection is a tunnel.
func (x *exchange) switchProtocols() after {
	x.phase = retry.Stream
	var err error
	x.edit = http1.Edit{Lines: x.edit.Lines[:0], Upgrade: x.server.offer}
	x.dress(&x.edit)
	if x.out, err = x.res.AppendHead(x.out[:0], &x.edit); err != nil {
		panic("l7: " + err.Error()) // it was offered as it is
	}
	x.record.status = x.res.Status
	s := x.sink()
	if c := s.write(x.out, x.back.Unread()); c != retry.None {
		return x.broken(c)
	}
	x.record.sent = int64(len(x.back.Unread()))
	up := x.server.conn
	up.WatchHangup(nil)
	if early := x.in.Unread(); len(early) > 0 {
		up.SetWriteBudget(sendIdle(x.to))
		if _, err := up.Write(early); err != nil {
			return x.broken(x.serverCause(err))
		}
	}
	x.tell(accesslog.OK)
	return tunnelling
}

// upgraded is a connection that speaks another protocol, and ends with it.
type upgraded struct {
	tunnel.Tunnel
	server  *upstream.Server
	began   time.Time     // to ask it
	conn    *backend.Conn // to it
	observe func(*upstream.Server, upstream.Verdict)
}

// upgraded takes the connections out of the exchange.
func (x *exchange) upgraded() *upgraded {
	u := &upgraded{server: x.server.server, began: x.server.began, conn: x.server.conn, observe: x.engine.options.Observe, Tunnel: tunnel.Tunnel{
		Client: x.client, Server: x.server.conn.Stream, Silence: x.conf.Listener.Timeouts.Tunnel, Scratch: x.relay,
	}}
	u.In, u.Out = x.record.books.Carried()
	x.server.conn, x.server.server = nil, nil
	return u
}

func (u *upgraded) run() {
	defer func() {
		_ = u.conn.Close() // it is closed, but counts as in use
		if v := u.server.End(u.Client.Loop().Now(), upstream.Outcome{Began: u.began}); v != (upstream.Verdict{}) {
			u.observe(u.server, v)
		}
	}()
	u.Run()
}
