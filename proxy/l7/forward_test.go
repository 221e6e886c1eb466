package l7

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// seen runs a server that hands the heads of the requests it gets to the test, as
// they were on the wire.
func seen(t *testing.T, response string) (address string, heads <-chan string) {
	c := make(chan string, 1)
	return rawServer(t, func(conn *net.TCPConn, r *bufio.Reader) {
		head, err := readHead(r)
		if err != nil {
			return
		}
		c <- head
		io.WriteString(conn, response)
		io.Copy(io.Discard, r) // a body left unread would reset the connection
	}), c
}

const empty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

// I8: what a server gets is what the client sent, minus hop-by-hop, plus what we
// say.
func TestRequestHead(t *testing.T) {
	// The forwarding fields that every request gets.
	const from = "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n"
	const by = "X-Forwarded-Port: PORT\r\nX-Real-IP: 127.0.0.1\r\nVia: 1.1 tandem-test-shop\r\nx-request-id: ID\r\n"
	const ours = from + "X-Forwarded-Host: shop.example\r\n" + by
	tests := []struct {
		name string
		sent string
		want string
	}{
		{
			"nothing is invented",
			"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: shop.example\r\n" + ours + "\r\n",
		},
		{
			"what the client says stays, in its order and case",
			"GET / HTTP/1.1\r\nuser-AGENT: x\r\nHOST: shop.example\r\nAccept-Encoding: br\r\nAccept: a\r\nAccept:  b\t\r\nX-Empty:\r\n\r\n",
			"GET / HTTP/1.1\r\nuser-AGENT: x\r\nHOST: shop.example\r\nAccept-Encoding: br\r\nAccept: a\r\nAccept: b\r\nX-Empty: \r\n" + ours + "\r\n",
		},
		{
			"hop-by-hop fields go",
			"GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n" +
				"Proxy-Connection: keep-alive\r\nProxy-Authorization: secret\r\nTE: gzip\r\nTrailer: X-T\r\nUpgrade: h2c\r\nX-Stay: 1\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: shop.example\r\nX-Stay: 1\r\n" + ours + "\r\n",
		},
		{
			"names with underscores that look like ours go",
			"GET / HTTP/1.1\r\nHost: shop.example\r\nX_Forwarded_For: 10.0.0.1\r\nContent_Length: 5\r\nX_Other: 1\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: shop.example\r\nX_Other: 1\r\n" + ours + "\r\n",
		},
		{
			"trailers may be accepted",
			"GET / HTTP/1.1\r\nHost: shop.example\r\nTE: gzip, trailers\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: shop.example\r\n" + ours + "TE: trailers\r\nConnection: TE\r\n\r\n",
		},
		{
			"forged forwarding fields go",
			"GET / HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-For: 10.0.0.2\r\nX-Real-IP: 10.0.0.3\r\n" +
				"X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Prefix: /evil\r\nForwarded: for=10.0.0.1\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: shop.example\r\n" + ours + "\r\n",
		},
		{
			"forwarding fields cannot be named away",
			"GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: X-Forwarded-For, X-Forwarded-Proto, Host, Via, X-Request-Id\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: shop.example\r\n" + ours + "\r\n",
		},
		{
			"path and query stay byte by byte",
			"GET /a%2Fb/%41c//../d?x=%zz;y=1&%2f=+ HTTP/1.1\r\nHost: shop.example\r\n\r\n",
			"GET /a%2Fb/%41c//../d?x=%zz;y=1&%2f=+ HTTP/1.1\r\nHost: shop.example\r\n" + ours + "\r\n",
		},
		{
			"an empty query stays",
			"GET /a? HTTP/1.1\r\nHost: shop.example\r\n\r\n",
			"GET /a? HTTP/1.1\r\nHost: shop.example\r\n" + ours + "\r\n",
		},
		{
			"two slashes are a path",
			"GET //evil.example/a HTTP/1.1\r\nHost: shop.example\r\n\r\n",
			"GET //evil.example/a HTTP/1.1\r\nHost: shop.example\r\n" + ours + "\r\n",
		},
		{
			"absolute-form becomes origin-form",
			"GET http://shop.example/a?b HTTP/1.1\r\nHost: shop.example\r\n\r\n",
			"GET /a?b HTTP/1.1\r\nHost: shop.example\r\n" + ours + "\r\n",
		},
		{
			"asterisk-form",
			"OPTIONS * HTTP/1.1\r\nHost: shop.example\r\n\r\n",
			"OPTIONS * HTTP/1.1\r\nHost: shop.example\r\n" + ours + "\r\n",
		},
		{
			"body with a length",
			"POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 2\r\n\r\nhi",
			"POST / HTTP/1.1\r\nHost: shop.example\r\n" + ours + "Content-Length: 2\r\n\r\n",
		},
		{
			"post without a body",
			"POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 0\r\n\r\n",
			"POST / HTTP/1.1\r\nHost: shop.example\r\n" + ours + "Content-Length: 0\r\n\r\n",
		},
		{
			"body in chunks",
			"PUT / HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n2;ext=1\r\nhi\r\n0\r\n\r\n",
			"PUT / HTTP/1.1\r\nHost: shop.example\r\n" + ours + "Transfer-Encoding: chunked\r\n\r\n",
		},
		{
			"an older client",
			"GET / HTTP/1.0\r\nHost: shop.example\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: shop.example\r\n" + strings.Replace(ours, "Via: 1.1", "Via: 1.0", 1) + "\r\n",
		},
		{
			"an older client that names no host",
			"GET / HTTP/1.0\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: SERVER\r\n" + from + strings.Replace(by, "Via: 1.1", "Via: 1.0", 1) + "\r\n",
		},
		{
			"an upgrade",
			"GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: shop.example\r\n" + ours + "Upgrade: websocket\r\nConnection: upgrade\r\n\r\n",
		},
		{
			"an upgrade to what is not known",
			"GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: shop.example\r\n" + ours + "\r\n",
		},
		{
			"an identity is kept, and the entries of others in Via",
			"GET / HTTP/1.1\r\nHost: shop.example\r\nVia: 1.0 fred\r\nX-Request-Id: abc-123\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: shop.example\r\nVia: 1.0 fred\r\n" + strings.Replace(ours, "ID", "abc-123", 1) + "\r\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			address, heads := seen(t, empty)
			c := start(t, address).dial(t)
			c.send(t, tt.sent)
			if res := c.response(t, http.MethodGet); res.StatusCode != http.StatusOK {
				t.Fatalf("status = %s", res.Status)
			}
			got := regexp.MustCompile(`(X-Forwarded-Port: )\d+`).ReplaceAllString(<-heads, "${1}PORT")
			got = regexp.MustCompile(`(x-request-id: )[0-9a-f]{32}`).ReplaceAllString(got, "${1}ID")
			got = strings.Replace(got, "Host: "+address, "Host: SERVER", 1)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("request at the server (-want +got):\n%s", diff)
			}
		})
	}
}

func TestResponseHead(t *testing.T) {
	const date = "Date: Mon, 02 Jan 2006 15:04:05 GMT\r\n"
	tests := []struct {
		name   string
		method string
		sent   string
		want   string
	}{
		{
			"as the server sends it", "GET",
			"HTTP/1.1 200 OK\r\n" + date + "Content-Length: 6\r\nServer: x\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n<html>",
			"HTTP/1.1 200 OK\r\n" + date + "Server: x\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 6\r\n\r\n<html>",
		},
		{
			"hop-by-hop fields go", "GET",
			"HTTP/1.1 200 OK\r\n" + date + "Content-Length: 0\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: x\r\nUpgrade: h2c\r\n\r\n",
			"HTTP/1.1 200 OK\r\n" + date + "Content-Length: 0\r\n\r\n",
		},
		{
			"head keeps the length", "HEAD",
			"HTTP/1.1 200 OK\r\n" + date + "Content-Length: 1234\r\n\r\n",
			"HTTP/1.1 200 OK\r\n" + date + "Content-Length: 1234\r\n\r\n",
		},
		{
			"204 has no body", "GET",
			"HTTP/1.1 204 No Content\r\n" + date + "\r\n",
			"HTTP/1.1 204 No Content\r\n" + date + "\r\n",
		},
		{
			"304 has no body", "GET",
			"HTTP/1.1 304 Not Modified\r\n" + date + "Etag: \"x\"\r\n\r\n",
			"HTTP/1.1 304 Not Modified\r\n" + date + "Etag: \"x\"\r\n\r\n",
		},
		{
			"redirect goes to the client", "GET",
			"HTTP/1.1 302 Found\r\n" + date + "Content-Length: 0\r\nLocation: /b\r\n\r\n",
			"HTTP/1.1 302 Found\r\n" + date + "Location: /b\r\nContent-Length: 0\r\n\r\n",
		},
		{
			"a body that ends with the connection becomes chunks", "GET",
			"HTTP/1.1 200 OK\r\n" + date + "Connection: close\r\n\r\nhello",
			"HTTP/1.1 200 OK\r\n" + date + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		},
		{
			"unknown status", "GET",
			"HTTP/1.1 599 \r\n" + date + "Content-Length: 0\r\n\r\n",
			"HTTP/1.1 599 \r\n" + date + "Content-Length: 0\r\n\r\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := start(t, answers(t, tt.sent)).dial(t)
			c.send(t, tt.method+" / HTTP/1.1\r\nHost: a\r\n\r\n")
			got := make([]byte, len(tt.want))
			n, err := io.ReadFull(c.r, got)
			if diff := cmp.Diff(tt.want, string(got[:n])); diff != "" {
				t.Errorf("response at the client, %v (-want +got):\n%s", err, diff)
			}
			// Nothing may follow: the next request on the connection is answered.
			c.CloseWrite()
			if rest, err := io.ReadAll(c.r); err != nil || len(rest) != 0 {
				t.Errorf("behind the response: %q, %v", rest, err)
			}
		})
	}
}

func TestTrailersBothWays(t *testing.T) {
	r := start(t, webServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Announced")
		b, _ := io.ReadAll(r.Body)
		w.Write(b)
		w.Header().Set("X-Announced", r.Trailer.Get("X-Sum"))
		w.Header().Set(http.TrailerPrefix+"X-Late", "late")
	}))
	req, err := http.NewRequest(http.MethodPost, r.url("/"), io.MultiReader(strings.NewReader("hello")))
	if err != nil {
		t.Fatal(err)
	}
	req.Trailer = http.Header{"X-Sum": {"42"}}
	res, err := client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got := body(t, res); got != "hello" {
		t.Errorf("body = %q, want hello", got)
	}
	want := http.Header{"X-Announced": {"42"}, "X-Late": {"late"}}
	if diff := cmp.Diff(want, res.Trailer); diff != "" {
		t.Errorf("trailer (-want +got):\n%s", diff)
	}
}

func TestInformationalResponses(t *testing.T) {
	c := start(t, answers(t,
		"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n"+
			"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>")).dial(t)
	c.send(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	for _, link := range []string{"</a.css>", "</b.css>"} {
		res := c.response(t, http.MethodGet)
		if got := res.Header.Get("Link"); res.StatusCode != http.StatusEarlyHints || got != link {
			t.Errorf("hint = %s, Link %q; want 103, %q", res.Status, got, link)
		}
	}
	res := c.response(t, http.MethodGet)
	if _, typed := res.Header["Content-Type"]; typed || res.StatusCode != http.StatusOK || body(t, res) != "<html>" {
		t.Errorf("response = %s, %v; want 200 without a type", res.Status, res.Header)
	}
}

func TestExpectContinue(t *testing.T) {
	t.Run("the body waits for the server's word", func(t *testing.T) {
		r := start(t, rawServer(t, func(c *net.TCPConn, r *bufio.Reader) {
			head, _ := readHead(r)
			if !strings.Contains(head, "\r\nExpect: 100-continue\r\n") || r.Buffered() > 0 {
				io.WriteString(c, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
				return
			}
			io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
			b := make([]byte, 5)
			io.ReadFull(r, b)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"+string(b))
		}))
		c := r.dial(t)
		c.send(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
		if res := c.response(t, http.MethodPost); res.StatusCode != http.StatusContinue {
			t.Fatalf("first response = %s, want 100", res.Status)
		}
		c.send(t, "hello")
		if res := c.response(t, http.MethodPost); res.StatusCode != http.StatusOK || body(t, res) != "hello" {
			t.Errorf("response = %s, want 200 with the body", res.Status)
		}
	})
	t.Run("a refusal spares the body", func(t *testing.T) {
		c := start(t, answers(t, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")).dial(t)
		c.send(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
		if res := c.response(t, http.MethodPost); res.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("response = %s, want 413", res.Status)
		}
		// The connection cannot be used again: a body may or may not follow.
		if rest, err := io.ReadAll(c.r); err != nil || len(rest) != 0 {
			t.Errorf("behind the response: %q, %v; want its end", rest, err)
		}
	})
}

func TestClientConnectionIsKept(t *testing.T) {
	r := start(t, webServer(t, echo))
	c := r.dial(t)
	for range 3 {
		c.send(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
		if got := body(t, c.response(t, http.MethodPost)); got != "hello" {
			t.Errorf("body = %q, want hello", got)
		}
	}
	// Two at once are answered in order.
	c.send(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n1POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n2")
	for _, want := range []string{"1", "2"} {
		if got := body(t, c.response(t, http.MethodPost)); got != want {
			t.Errorf("body = %q, want %q", got, want)
		}
	}
	if tr := r.Traffic(); tr.Accepted != 1 || tr.Requests != 5 {
		t.Errorf("traffic = %+v, want 5 requests on 1 connection", tr)
	}
}

func TestServerConnectionIsKept(t *testing.T) {
	remotes := make(chan string, 16)
	r := start(t, webServer(t, func(_ http.ResponseWriter, r *http.Request) { remotes <- r.RemoteAddr }))
	for range 3 {
		c := r.dial(t)
		c.send(t, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		io.Copy(io.Discard, c.r)
	}
	first := <-remotes
	for range 2 {
		if next := <-remotes; next != first {
			t.Errorf("request came from %s, the one before from %s; want one connection", next, first)
		}
	}
	eventually(t, func() bool { return r.server(0).Active == 0 })
	if got := r.server(0); got.Served != 3 || got.Failed != 0 {
		t.Errorf("status = %+v, want 3 requests served", got)
	}
}

// Behind a proxy that speaks the PROXY protocol, the client is whom that names: for the
// server, and for the log.
func TestClientOfTheProxyProtocol(t *testing.T) {
	server, heads := seen(t, empty)
	spec := generous()
	spec.ProxyProtocol = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	r := startWith(t, spec, pool(t, server))
	c := r.dial(t)
	c.send(t, "PROXY TCP4 203.0.113.9 198.51.100.2 4711 8443\r\nGET / HTTP/1.1\r\nHost: shop.example\r\n\r\n")
	if got := c.response(t, "GET"); got.StatusCode != 200 {
		t.Fatalf("status %d", got.StatusCode)
	}
	head := <-heads
	for _, want := range []string{"X-Forwarded-For: 203.0.113.9\r\n", "X-Real-IP: 203.0.113.9\r\n", "X-Forwarded-Port: 8443\r\n"} {
		if !strings.Contains(head, want) {
			t.Errorf("the server's request lacks %q:\n%s", want, head)
		}
	}
}

// A header that nobody has asked for is no request, lest anybody names another client.
func TestUnaskedProxyHeaderIsRefused(t *testing.T) {
	r := start(t, answers(t, empty))
	c := r.dial(t)
	c.send(t, "PROXY TCP4 203.0.113.9 198.51.100.2 4711 8443\r\nGET / HTTP/1.1\r\nHost: shop.example\r\n\r\n")
	if got := c.response(t, "GET"); got.StatusCode != 400 {
		t.Errorf("status %d", got.StatusCode)
	}
}
