package l7

import (
	"github.com/tandemlb/tandem/proxy/accesslog"
	"github.com/tandemlb/tandem/proxy/http1"
	"github.com/tandemlb/tandem/proxy/tunnel"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// switchProtocols passes the 101 on, and what came behind it on either side. Then
// the connection is a tunnel.
func (x *exchange) switchProtocols() after {
	x.phase = stream
	var err error
	if x.out, err = x.res.AppendHead(x.out[:0], &http1.Edit{Upgrade: x.offer}); err != nil {
		panic("l7: " + err.Error()) // it was offered as it is
	}
	x.record.status = x.res.Status
	s := x.sink()
	if c := s.write(x.out, x.back.unread()); c != noCause {
		return x.broken(c)
	}
	x.record.sent = int64(len(x.back.unread()))
	up := x.server.conn
	up.WatchHangup(nil)
	if early := x.in.unread(); len(early) > 0 {
		up.SetWriteBudget(x.conf.sendIdle())
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
	server *upstream.Server
}

// upgraded takes the connections out of the exchange.
func (x *exchange) upgraded() *upgraded {
	u := &upgraded{server: x.server.server, Tunnel: tunnel.Tunnel{
		Client: x.client, Server: x.server.conn.Conn, Silence: x.conf.Listener.Timeouts.Tunnel,
	}}
	x.server.conn, x.server.server = nil, nil
	return u
}

func (u *upgraded) run() {
	defer u.server.End()
	u.Run()
}
