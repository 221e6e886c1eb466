package http1_test

import (
	"fmt"
	"strings"

	"github.com/tandemlb/tandem/proxy/http1"
)

// A proxy forwards a request with a body in chunks. Each read of the body becomes
// one chunk, made in the buffer that it was read into.
func Example() {
	client := strings.NewReader("POST http://Shop.Example/cart?add=1 HTTP/1.1\r\nHost: shop.example\r\n" +
		"X-Forwarded-For: 6.6.6.6\r\nConnection: keep-alive, x-secret\r\nX-Secret: 1\r\nTransfer-Encoding: chunked\r\n\r\n" +
		"5;ext=1\r\nhello\r\n7\r\n, world\r\n0\r\nX-Sum: 12\r\n\r\n")
	limits := http1.DefaultLimits()
	buf := make([]byte, 16<<10)

	var req http1.Request
	have, n := 0, 0
	for n == 0 {
		read, _ := client.Read(buf[have:])
		have += read
		var err error
		if n, err = req.Parse(buf[:have], &limits); err != nil {
			fmt.Println(err)
			return
		}
	}
	out, err := req.AppendHead(nil, &http1.Edit{
		Drop: http1.Forwarding,
		Add:  []http1.Addition{{Name: "X-Forwarded-For", Value: []byte("192.0.2.7")}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	var d http1.Decoder
	d.Reset(&req.Head, &limits)
	body := make([]byte, 16<<10)
	from, to := http1.ChunkRoom, http1.ChunkRoom+copy(body[http1.ChunkRoom:], buf[n:have])
	data, _, err := d.Decode(body[from:to])
	if err != nil || !d.Done() {
		fmt.Println(err)
		return
	}
	out = append(out, http1.FrameChunk(body, from, from+data)...)
	out = http1.AppendLastChunk(out, d.Trailers())
	fmt.Print(strings.ReplaceAll(string(out), "\r\n", "\n"))

	// Output:
	// POST /cart?add=1 HTTP/1.1
	// Host: Shop.Example
	// X-Forwarded-For: 192.0.2.7
	// Transfer-Encoding: chunked
	//
	// c
	// hello, world
	// 0
	// X-Sum: 12
}
