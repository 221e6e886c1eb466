package l7

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/tandemlb/tandem/proxy"
)

// Each connection says who its client is, and serves no other.
func TestServersHearWhoTheClientIs(t *testing.T) {
	headers := make(chan string, 10)
	address := rawServer(t, func(c *net.TCPConn, r *bufio.Reader) {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		headers <- line
		for {
			if _, err := readHead(r); err != nil {
				return
			}
			io.WriteString(c, fine)
		}
	})
	r := startWith(t, generous(), newPool(t, with(t, func(p *proxy.Pool) { p.SendProxy = proxy.ProxyV1 }, address), nil))
	for range 2 {
		c := r.dial(t)
		for range 2 {
			c.send(t, get1)
			if got := body(t, c.response(t, http.MethodGet)); got != "fine" {
				t.Errorf("body = %q", got)
			}
			local := c.LocalAddr().(*net.TCPAddr)
			want := fmt.Sprintf("PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n", local.Port, r.l.Addr().(*net.TCPAddr).Port)
			if got := <-headers; got != want {
				t.Errorf("header = %q, want %q", got, want)
			}
		}
	}
}
