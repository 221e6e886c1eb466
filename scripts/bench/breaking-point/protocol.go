package main

import (
	"bytes"
	"strconv"
	"strings"
)

// A protocol is what is asked, and how an answer is told.
type protocol struct {
	request []byte
	judge   func(text []byte) reply // of all that came so far
}

// A reply is what became of a request that was answered.
type reply struct {
	whole  bool
	kind   string
	closes bool // the connection is of no more use
	denied bool // it was turned away, and told so
	hinted bool // it was told when to come again
}

// browser is the request of HTTP: what a browser sends, some 700 bytes.
const browser = "GET /small HTTP/1.1\r\n" +
	"Host: shop.example.com\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n" +
	"Accept-Language: en-US,en;q=0.5\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Referer: https://shop.example.com/category/garden?page=2\r\n" +
	"Cookie: session=5fd28e1a45f6bfbf2d5f8d9fc6cf5b0d; consent=analytics.0.marketing.0; theme=dark\r\n" +
	"Sec-Fetch-Dest: document\r\n" +
	"Sec-Fetch-Mode: navigate\r\n" +
	"Sec-Fetch-Site: same-origin\r\n" +
	"Upgrade-Insecure-Requests: 1\r\n" +
	"Priority: u=0, i\r\n" +
	"\r\n"

// http is the protocol of a browser.
func http() protocol {
	return protocol{request: []byte(browser), judge: func(text []byte) reply {
		a, whole, err := parseAnswer(text)
		switch {
		case err != nil:
			return reply{whole: true, kind: malformed, closes: true}
		case !whole || len(text) < a.length:
			return reply{}
		case len(text) > a.length:
			return reply{whole: true, kind: malformed, closes: true}
		case a.status == 200:
			return reply{whole: true, kind: served, closes: a.closes}
		}
		kind := strconv.Itoa(a.status)
		if a.reason != "" {
			kind += " " + a.reason
		}
		return reply{whole: true, kind: kind, closes: a.closes, denied: true, hinted: a.later}
	}}
}

// messageSize is that of a message of TCP and of its echo.
const messageSize = 64

// echo is a protocol of messages that come back.
func echo() protocol {
	message := []byte(strings.Repeat("x", messageSize))
	return protocol{request: message, judge: func(text []byte) reply {
		switch {
		case len(text) < messageSize:
			return reply{}
		case !bytes.Equal(text, message):
			return reply{whole: true, kind: malformed, closes: true}
		}
		return reply{whole: true, kind: served}
	}}
}
