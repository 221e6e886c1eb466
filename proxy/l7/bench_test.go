package l7

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// fixed runs a server that answers each request of the given size with a response
// that is always the same, and allocates nothing for it.
func fixed(b *testing.B, last string, response []byte) string {
	b.Helper()
	return rawServer(b, func(c *net.TCPConn, _ *bufio.Reader) {
		c.SetDeadline(time.Time{})
		buf := make([]byte, 64<<10)
		for n := 0; ; {
			k, err := c.Read(buf[n:])
			if err != nil {
				return
			}
			if n += k; n >= len(last) && string(buf[n-len(last):n]) == last {
				if _, err := c.Write(response); err != nil {
					return
				}
				n = 0
			}
		}
	})
}

// The proxy allocates nothing for a request on connections that are kept: neither
// the client nor the server of the benchmark does, either.
func BenchmarkRequestsWithoutAllocation(b *testing.B) {
	const response = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
	benchmarks := []struct{ name, request, last, response string }{
		{"get", "GET /index.html?a=b HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n", "\r\n\r\n", response},
		{"get, traced but not recorded", "GET /index.html?a=b HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n", "\r\n\r\n", response},
		{"post", "POST /form HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 100\r\n\r\n" + strings.Repeat("x", 99) + "!", "!", response},
		{"post in chunks", "POST /form HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "0\r\n\r\n", response},
		{"response in chunks", "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n", "\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
	}
	for _, bm := range benchmarks {
		b.Run(bm.name, func(b *testing.B) {
			r := start(b, fixed(b, bm.last, []byte(bm.response)))
			if bm.name == "get, traced but not recorded" {
				r.tracer.Configure(true, 0)
			}
			c := r.dial(b)
			c.SetDeadline(time.Time{})
			request := []byte(bm.request)
			c.Write(request)
			first := make([]byte, 4096)
			n, err := c.Read(first)
			if err != nil {
				b.Fatal(err)
			}
			size := n // of each response
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Write(request); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(c.TCPConn, first[:size]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
