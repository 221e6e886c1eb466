package http1_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/proxy/http1"
)

const (
	curlHead = "GET /api/v1/items?page=2 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n"

	browserHead = "GET /assets/app-6f2a91.js?v=20261101 HTTP/1.1\r\nHost: shop.example\r\nConnection: keep-alive\r\n" +
		"Pragma: no-cache\r\nCache-Control: no-cache\r\n" +
		"sec-ch-ua: \"Chromium\";v=\"142\", \"Not_A Brand\";v=\"24\", \"Google Chrome\";v=\"142\"\r\nsec-ch-ua-mobile: ?0\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n" +
		"sec-ch-ua-platform: \"Linux\"\r\nAccept: */*\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: script\r\n" +
		"Referer: https://shop.example/cart\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9,de;q=0.8\r\n" +
		"Cookie: session=5f4dcc3b5aa765d61d8327deb882cf99; theme=dark; consent=1; _ga=GA1.2.1873645510.1698765432; cart=eyJpdGVtcyI6W3siaWQiOjEyfV19\r\n\r\n"

	serverHead = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Tue, 24 Nov 2026 08:00:00 GMT\r\nContent-Type: application/json\r\n" +
		"Content-Length: 64\r\nConnection: keep-alive\r\nETag: \"6543-40\"\r\nAccept-Ranges: bytes\r\n\r\n"
)

// work is what a proxy does with a head.
var work = map[string]func(testing.TB) (bytes int, do func()){
	"parse curl":      func(t testing.TB) (int, func()) { return len(curlHead), parseRequest(t, curlHead, false) },
	"parse browser":   func(t testing.TB) (int, func()) { return len(browserHead), parseRequest(t, browserHead, false) },
	"forward curl":    func(t testing.TB) (int, func()) { return len(curlHead), parseRequest(t, curlHead, true) },
	"forward browser": func(t testing.TB) (int, func()) { return len(browserHead), parseRequest(t, browserHead, true) },
	"parse response":  func(t testing.TB) (int, func()) { return len(serverHead), parseResponse(t, false) },
	"forward response": func(t testing.TB) (int, func()) {
		return len(serverHead), parseResponse(t, true)
	},
	"decode 64 KiB in one chunk": func(t testing.TB) (int, func()) {
		return 64 << 10, decodeChunks(t, "10000\r\n"+strings.Repeat("x", 64<<10)+"\r\n0\r\n\r\n")
	},
	"decode 64 KiB in 512-byte chunks": func(t testing.TB) (int, func()) {
		return 64 << 10, decodeChunks(t, strings.Repeat("200\r\n"+strings.Repeat("x", 512)+"\r\n", 128)+"0\r\n\r\n")
	},
	"decode 1 KiB in 1-byte chunks, with trailers": func(t testing.TB) (int, func()) {
		return 1 << 10, decodeChunks(t, strings.Repeat("1\r\nx\r\n", 1<<10)+"0\r\nX-Sum: 1\r\n\r\n")
	},
	"reply": func(t testing.TB) (int, func()) {
		reply := http1.Reply{Status: 503, Body: "no server\n", Close: true, Fields: []http1.Addition{{Name: "Retry-After", Value: []byte("1")}}}
		dst := make([]byte, 0, 512)
		return 0, func() {
			if _, err := http1.AppendReply(dst, &reply); err != nil {
				t.Fatal(err)
			}
		}
	},
}

func parseRequest(t testing.TB, head string, forward bool) func() {
	var r http1.Request
	buf, lim, dst := []byte(head), limits(), make([]byte, 0, 4096)
	edit := http1.Edit{Drop: http1.Forwarding, Lines: []byte("X-Forwarded-Port: 80\r\n"), Add: []http1.Addition{
		{Name: "X-Forwarded-For", Value: []byte("192.0.2.77")},
		{Name: "X-Forwarded-Proto", Value: []byte("http")},
		{Name: "X-Forwarded-Host", Value: []byte("shop.example")},
		{Name: "Via", Value: []byte("1.1 tandem")},
	}}
	return func() {
		if n, err := r.Parse(buf, lim); n != len(buf) || err != nil {
			t.Fatal(n, err)
		}
		if !forward {
			return
		}
		if _, err := r.AppendHead(dst, &edit); err != nil {
			t.Fatal(err)
		}
	}
}

func parseResponse(t testing.TB, forward bool) func() {
	var r http1.Response
	buf, lim, dst := []byte(serverHead), limits(), make([]byte, 0, 4096)
	edit := http1.Edit{}
	return func() {
		r.ResetFor(http1.MethodGet, 1)
		if n, err := r.Parse(buf, lim); n != len(buf) || err != nil {
			t.Fatal(n, err)
		}
		if !forward {
			return
		}
		if _, err := r.AppendHead(dst, &edit); err != nil {
			t.Fatal(err)
		}
	}
}

func decodeChunks(t testing.TB, body string) func() {
	var d http1.Decoder
	buf, lim := make([]byte, len(body)), limits()
	return func() {
		copy(buf, body) // is decoded in place
		d.Reset(nil, lim)
		if _, used, err := d.Decode(buf); used != len(buf) || err != nil || !d.Done() {
			t.Fatal(used, err)
		}
	}
}

func BenchmarkCodec(b *testing.B) {
	for _, name := range slices.Sorted(maps.Keys(work)) {
		prepare := work[name]
		b.Run(name, func(b *testing.B) {
			n, do := prepare(b)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				do()
			}
		})
	}
}

func TestGoodMessagesAllocateNothing(t *testing.T) {
	for name, prepare := range work {
		_, do := prepare(t)
		if n := testing.AllocsPerRun(100, do); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	for _, in := range []string{host("EXAMPLE.com:80"), host("[2001:DB8::1]"), get("Connection: x, Y, close\r\nX: 1\r\n"), get("Content_Length: 1\r\nTE: trailers\r\n"), "GET http://a/b HTTP/1.1\r\nHost: A\r\n\r\n", post("Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n")} {
		if n := testing.AllocsPerRun(100, parseRequest(t, in, true)); n > 0 {
			t.Errorf("request %q: %v allocations", in, n)
		}
	}
}
