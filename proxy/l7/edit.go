package l7

import (
	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/backend"
	"github.com/tandemlb/tandem/proxy/frontend"
	"github.com/tandemlb/tandem/proxy/http1"
	"github.com/tandemlb/tandem/proxy/proxyproto"
)

// rewrite puts into e how the request differs that l's server gets.
func (x *exchange) rewrite(e *http1.Edit, l *backend.Link) {
	at := x.route
	e.Host, e.DropNames, e.Add = at.Host, at.Request.Drop, at.Request.Add
	if e.Host == nil && len(x.req.Authority()) == 0 {
		e.Host = l.Host
	}
	if at.Rewrites {
		e.Target = x.conf.rules.AppendTarget(x.target[:0], at, asked{&x.req})
		x.target = e.Target
	}
}

// dress puts into e how the response differs that the client gets.
func (x *exchange) dress(e *http1.Edit) {
	at := x.route
	e.DropNames, e.Add = at.Response.Drop, at.Response.Add
	if x.to.Sticky() == "" || x.server.server == x.sticky {
		return
	}
	// The client is to come back to the server that it has met. What is appended for
	// one is not seen by others.
	value := x.to.AppendCookie(x.key[:0], x.server.server)
	x.fields = append(append(x.fields[:0], e.Add...), http1.Addition{Name: "Set-Cookie", Value: value})
	e.Add = x.fields
}

// preface begins what is sent to a server.
func (x *exchange) preface() []byte {
	if c := x.server.conn; c.Reused || !c.Plain() { // that has been said, before TLS
		return x.out[:0]
	}
	return x.introduction(x.out[:0])
}

// introduction appends what says at the beginning of a connection who the client is, if
// the pool wants that said.
func (x *exchange) introduction(dst []byte) []byte {
	if x.to.Header == proxy.ProxyNone {
		return dst
	}
	return proxyproto.Append(dst, x.to.Header, frontend.ClientOf(x.client.Conn), frontend.Local(x.client.Conn))
}
