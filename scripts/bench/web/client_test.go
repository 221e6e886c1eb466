package web

import (
	"strings"
	"testing"
)

func TestAnswered(t *testing.T) {
	for _, test := range []struct {
		name, text string
		whole      bool
		err        string
	}{
		{"nothing", "", false, ""},
		{"half a head", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", false, ""},
		{"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na", false, ""},
		{"whole", "HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length:2\r\n\r\nab", true, ""},
		{"no body", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true, ""},
		{"another status", "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", false, `answered "HTTP/1.1 502 Bad Gateway"`},
		{"no length", "HTTP/1.1 200 OK\r\nServer: x\r\n\r\n", false, "without a length"},
		{"no fields", "HTTP/1.1 200 OK\r\n\r\n", false, "without a length"},
		{"no number", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", false, `answered "Content-Length: x"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			whole, err := Answered([]byte(test.text))
			if whole != test.whole || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("got %v, %v; want %v, %q", whole, err, test.whole, test.err)
			}
		})
	}
}
