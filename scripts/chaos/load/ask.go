package load

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// dial connects, and gives all of the request its deadline.
func (c *clients) dial(network string, port uint16, start time.Time) (net.Conn, error) {
	return dial(network, netip.AddrPortFrom(c.target, port), start)
}

func dial(network string, target netip.AddrPort, start time.Time) (net.Conn, error) {
	d := net.Dialer{Deadline: start.Add(within), KeepAlive: -1}
	conn, err := d.Dial(network, target.String())
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(start.Add(within))
}

// leave closes a connection without leaving its port in TIME_WAIT.
func leave(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}

func (c *clients) http(start time.Time) error {
	conn, err := c.dial("tcp", HTTPPort, start)
	if err != nil {
		return err
	}
	defer leave(conn)
	return get(conn, bufio.NewReader(conn), true)
}

func (c *clients) tls(start time.Time) error {
	conn, err := c.dial("tcp", TLSPort, start)
	if err != nil {
		return err
	}
	defer leave(conn)
	// Who answers is not in question here, only whether.
	secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	return get(secure, bufio.NewReader(secure), true)
}

// get asks once and reads the whole answer.
func get(conn io.Writer, in *bufio.Reader, last bool) error {
	request := "GET / HTTP/1.1\r\nHost: chaos\r\n"
	if last {
		request += "Connection: close\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		return err
	}
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	answer.Body.Close()
	switch {
	case err != nil:
		return err
	case answer.StatusCode != http.StatusOK:
		return wrong(BadStatus + strconv.Itoa(answer.StatusCode))
	case !bytes.HasPrefix(body, []byte("chaos ")):
		return wrong(Wrong)
	}
	return nil
}

func (c *clients) echo(start time.Time) error {
	conn, err := c.dial("tcp", TCPPort, start)
	if err != nil {
		return err
	}
	defer leave(conn)
	return echo(conn, fmt.Sprintf("new %d", start.UnixNano()))
}

func (c *clients) compare(start time.Time) error {
	conn, err := dial("tcp", c.control, start)
	if err != nil {
		return err
	}
	defer leave(conn)
	return echo(conn, fmt.Sprintf("control %d", start.UnixNano()))
}

// Echo is the server of the control: it sends back what comes, until ctx is canceled.
func Echo(ctx context.Context, address netip.AddrPort) error {
	ln, err := net.Listen("tcp", address.String())
	if err != nil {
		return fmt.Errorf("listen as the control: %w", err)
	}
	return echoAll(ctx, ln)
}

// echoAll is Echo on a listener, which it closes.
func echoAll(ctx context.Context, ln net.Listener) error {
	var all sync.WaitGroup
	defer all.Wait()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	for {
		conn, err := ln.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept as the control: %w", err)
		}
		all.Go(func() {
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(within))
			_, _ = io.Copy(conn, conn) // until the client goes
		})
	}
}

// echo sends text and expects it back.
func echo(conn net.Conn, text string) error {
	if _, err := io.WriteString(conn, text); err != nil {
		return err
	}
	b := make([]byte, len(text))
	if _, err := io.ReadFull(conn, b); err != nil {
		return err
	}
	if string(b) != text {
		return wrong(Wrong)
	}
	return nil
}

// connection is what kept clients have in common.
type connection struct{ conn net.Conn }

func (k *connection) drop() {
	if k.conn != nil {
		leave(k.conn)
		k.conn = nil
	}
}

// ready connects if need be.
func (k *connection) ready(c *clients, network string, port uint16, start time.Time) (err error) {
	if k.conn != nil {
		return k.conn.SetDeadline(start.Add(within))
	}
	conn, err := c.dial(network, port, start)
	if err == nil {
		k.conn = conn
	}
	return err
}

type keptHTTP struct {
	clients *clients
	connection
	in *bufio.Reader
}

func (k *keptHTTP) ask(start time.Time) error {
	isNew := k.conn == nil
	if err := k.ready(k.clients, "tcp", HTTPPort, start); err != nil {
		return err
	}
	if isNew {
		k.in = bufio.NewReader(k.conn)
	}
	return get(k.conn, k.in, false)
}

type keptEcho struct {
	clients *clients
	connection
}

func (k *keptEcho) ask(start time.Time) error {
	if err := k.ready(k.clients, "tcp", TCPPort, start); err != nil {
		return err
	}
	return echo(k.conn, fmt.Sprintf("kept %d", start.UnixNano()))
}

// keptDatagrams sends from one port: one session of the proxy.
type keptDatagrams struct {
	clients *clients
	connection
}

func (k *keptDatagrams) ask(start time.Time) error {
	if err := k.ready(k.clients, "udp", UDPPort, start); err != nil {
		return err
	}
	text := fmt.Sprintf("datagram %d", start.UnixNano())
	if _, err := io.WriteString(k.conn, text); err != nil {
		return err
	}
	b := make([]byte, 2*len(text))
	for {
		n, err := k.conn.Read(b)
		if err != nil {
			return err
		}
		if string(b[:n]) == text {
			return nil // answers to those before, which were given up, are passed over
		}
	}
}
