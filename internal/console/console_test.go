package console

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/gate"
	"github.com/tandemlb/tandem/internal/metrics"
)

const token = "0123456789abcdef0123456789abcdef"

// fakeNode remembers what it was asked to change.
type fakeNode struct {
	admin.Node
	changes []admin.ServerChange
}

func (n *fakeNode) Status(context.Context) (*admin.Status, error) { return &admin.Status{}, nil }

func (n *fakeNode) Explain(context.Context) (*admin.Explanation, error) {
	return &admin.Explanation{}, nil
}

func (n *fakeNode) Counts(context.Context) metrics.Counts { return metrics.Counts{} }

func (n *fakeNode) Change(_ context.Context, c admin.ServerChange) error {
	n.changes = append(n.changes, c)
	return nil
}

func writeFile(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// open returns a Console that listens on loopback; the caller may change o before.
func open(t *testing.T, o Options) *Console {
	t.Helper()
	o.Listen = netip.MustParseAddrPort("127.0.0.1:0")
	if o.Node == nil {
		o.Node = &fakeNode{}
	}
	o.Log = zap.NewNop()
	c, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// run answers until the test ends, and returns the URL.
func run(t *testing.T, c *Console) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	scheme := "http://"
	if c.pair != nil {
		scheme = "https://"
	}
	return scheme + c.Addr().String()
}

func tokenFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	writeFile(t, path, token+"\n", 0o600)
	return path
}

// send sends a request and returns the status and the node's words.
func send(t *testing.T, method, url string, fields map[string]string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(`{"pool":"web","server":"a","verb":"drain"}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range fields {
		req.Header.Set(name, value)
	}
	if h := fields["Host"]; h != "" {
		req.Host = h
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func bearing(token string, more ...string) map[string]string {
	fields := map[string]string{"Authorization": "Bearer " + token}
	for i := 0; i+1 < len(more); i += 2 {
		fields[more[i]] = more[i+1]
	}
	return fields
}

// TestAccess holds who may ask for what: route, token, where the request comes from.
func TestAccess(t *testing.T) {
	const evil = "http://evil.example"
	tests := []struct {
		name    string
		bare    bool // the node has no token
		method  string
		path    string
		fields  map[string]string
		want    int
		refused Refusal
	}{
		{"the page needs no token", false, "GET", "/", nil, 200, granted},
		{"nor do its files", false, "GET", "/app.js", nil, 200, granted},
		{"nor does the question whether one is needed", false, "GET", "/v1/access", nil, 200, granted},
		{"a file that is not there tells nothing without one", false, "GET", "/nothing.js", nil, 401, NoToken},
		{"the status without a token", false, "GET", "/v1/status", nil, 401, NoToken},
		{"the metrics without a token", false, "GET", "/metrics", nil, 401, NoToken},
		{"the feed without a token", false, "GET", "/v1/feed", nil, 401, NoToken},
		{"the status with the token", false, "GET", "/v1/status", bearing(token), 200, granted},
		{"the status with a wrong one", false, "GET", "/v1/status", bearing(token + "x"), 401, BadToken},
		{"with its beginning", false, "GET", "/v1/status", bearing(token[:31]), 401, BadToken},
		{"with a password", false, "GET", "/v1/status", map[string]string{"Authorization": "Basic " + token}, 401, NoToken},
		{"in a cookie", false, "GET", "/v1/status", map[string]string{"Cookie": "token=" + token}, 401, NoToken},
		{"in the query", false, "GET", "/v1/status?token=" + token, nil, 401, NoToken},
		{"the page's path in another spelling", false, "GET", "//", nil, 401, NoToken},
		{"a path that leads out of the page", false, "GET", "/../v1/status", nil, 401, NoToken},
		{"a change with the token", false, "POST", "/v1/server", bearing(token), 200, granted},
		{"a change without", false, "POST", "/v1/server", nil, 401, NoToken},
		{"a change from the node's own page", false, "POST", "/v1/server", bearing(token, "Origin", "OWN", "Sec-Fetch-Site", "same-origin"), 200, granted},
		{"a change from another site that has the token", false, "POST", "/v1/server", bearing(token, "Origin", evil), 403, BadOrigin},
		{"from a page without an origin", false, "POST", "/v1/server", bearing(token, "Origin", "null"), 403, BadOrigin},
		{"from the same host over TLS, which this is not", false, "POST", "/v1/server", bearing(token, "Origin", "OWNS"), 403, BadOrigin},
		{"a look from another site", false, "GET", "/v1/status", bearing(token, "Sec-Fetch-Site", "cross-site"), 403, BadOrigin},
		{"a link to the page from another site", false, "GET", "/", map[string]string{"Sec-Fetch-Site": "cross-site"}, 200, granted},
		{"another name for the node", false, "GET", "/", map[string]string{"Host": "evil.example"}, 403, BadHost},
		{"another name, with the token", false, "POST", "/v1/server", bearing(token, "Host", "evil.example"), 403, BadHost},
		{"a name of the config", false, "GET", "/v1/status", bearing(token, "Host", "LB1.example.com:8404"), 200, granted},
		{"a name that ends in one of the config", false, "GET", "/v1/status", bearing(token, "Host", "evil-lb1.example.com"), 403, BadHost},
		{"localhost", false, "GET", "/v1/status", bearing(token, "Host", "localhost:8404"), 200, granted},
		{"an address of IPv6", false, "GET", "/v1/status", bearing(token, "Host", "[::1]:8404"), 200, granted},
		{"what begins as an address", false, "GET", "/v1/status", bearing(token, "Host", "127.0.0.1.evil.example"), 403, BadHost},

		{"the status of a node without a token", true, "GET", "/v1/status", nil, 200, granted},
		{"its metrics", true, "GET", "/metrics", nil, 200, granted},
		{"a change of it", true, "POST", "/v1/server", nil, 403, ReadOnly},
		{"a change of it with a token that means nothing", true, "POST", "/v1/server", bearing(token), 403, ReadOnly},
		{"a change of it by another method", true, "PUT", "/v1/server", nil, 403, ReadOnly},
		{"a reload", true, "POST", "/v1/reload", nil, 403, ReadOnly},
		{"its status under another name", true, "GET", "/v1/status", map[string]string{"Host": "evil.example:8404"}, 403, BadHost},
		{"its status for another site", true, "GET", "/v1/status", map[string]string{"Origin": evil}, 403, BadOrigin},
		{"its status for another site that does not say so", true, "GET", "/v1/status", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403, BadOrigin},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := &fakeNode{}
			o := Options{Node: n, Names: []string{"lb1.example.com"}}
			if !tt.bare {
				o.TokenFile = tokenFile(t)
			}
			c := open(t, o)
			url := run(t, c)
			switch tt.fields["Origin"] {
			case "OWN":
				tt.fields["Origin"] = url
			case "OWNS":
				tt.fields["Origin"] = strings.Replace(url, "http:", "https:", 1)
			}
			code, body := send(t, tt.method, url+tt.path, tt.fields)
			if code != tt.want {
				t.Errorf("status %d, want %d: %s", code, tt.want, body)
			}
			if changed := len(n.changes) > 0; changed != (tt.method == "POST" && tt.want == 200) {
				t.Errorf("changes: %v", n.changes)
			}
			for why, count := range c.View().Refused {
				if want := uint64(0); count != want && Refusal(why) != tt.refused {
					t.Errorf("counted %d as %s", count, why)
				}
			}
			if tt.refused != granted && c.View().Refused[string(tt.refused)] != 1 {
				t.Errorf("counted %v, want one %s", c.View().Refused, tt.refused)
			}
			if tt.want >= 400 {
				var f admin.Failure
				if err := json.Unmarshal([]byte(body), &f); err != nil || f.Error == "" {
					t.Errorf("it says nothing to a person: %q", body)
				}
			}
			if strings.Contains(body, token) {
				t.Error("the answer holds the token")
			}
		})
	}
}

func TestAnswersKeepBrowsersStrict(t *testing.T) {
	url := run(t, open(t, Options{}))
	for _, path := range []string{"/", "/app.js", "/v1/status", "/nothing"} {
		resp, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		policy := resp.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'", "base-uri 'none'", "require-trusted-types-for 'script'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: the policy %q lacks %q", path, policy, want)
			}
		}
		if strings.Contains(policy, "unsafe") {
			t.Errorf("%s: the policy %q allows what is unsafe", path, policy)
		}
		for name, want := range map[string]string{
			"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
			"Access-Control-Allow-Origin": "",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
}

func TestWrongTokensAreBounded(t *testing.T) {
	c := open(t, Options{TokenFile: tokenFile(t)})
	url := run(t, c)
	for range guessBurst {
		if code, _ := send(t, "GET", url+"/v1/status", bearing("wrong")); code != 401 {
			t.Fatalf("status %d, want 401", code)
		}
	}
	code, body := send(t, "GET", url+"/v1/status", bearing(token))
	if code != http.StatusTooManyRequests || !strings.Contains(body, "try again in 6 s") {
		t.Errorf("the next try: %d %s", code, body)
	}
	// What needs no token is not in the way of anybody.
	if code, _ := send(t, "GET", url+"/", nil); code != 200 {
		t.Errorf("the page: %d", code)
	}
}

func TestHeadersAreBounded(t *testing.T) {
	c := open(t, Options{})
	run(t, c)
	k, err := net.Dial("tcp", c.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	_, _ = io.WriteString(k, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "+strings.Repeat("a", 64<<10))
	answer := make([]byte, 12) // a reset may follow: not everything was read
	if _, err := io.ReadFull(k, answer); err != nil || string(answer) != "HTTP/1.1 431" {
		t.Errorf("answer %q, %v", answer, err)
	}
}

func TestConnectionsAreBoundedByAddress(t *testing.T) {
	c := open(t, Options{})
	run(t, c)
	var held []net.Conn
	defer func() {
		for _, k := range held {
			k.Close()
		}
	}()
	dial := func() net.Conn {
		k, err := net.Dial("tcp", c.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, k)
		return k
	}
	for range gate.MaxPerCaller {
		dial()
	}
	extra := dial()
	_ = extra.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := extra.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Fatalf("the connection beyond the bound: %v", err)
	}
	if n := c.View().Refused[string(Connections)]; n != 1 {
		t.Errorf("counted %d", n)
	}
	held[0].Close()
	// Its place is free once the server has seen that.
	for range 1000 {
		k := dial()
		_, _ = io.WriteString(k, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
		if b, _ := io.ReadAll(k); len(b) > 0 {
			return
		}
	}
	t.Error("a place that was given back is not given to another")
}

// TestWhatIsFollowedLasts holds that no limit for requests that end cuts the feed.
func TestWhatIsFollowedLasts(t *testing.T) {
	c := open(t, Options{})
	c.patience = time.Second
	url := run(t, c)
	req, err := http.NewRequestWithContext(t.Context(), "GET", url+"/v1/feed", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	began := time.Now()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if time.Since(began) > 2*c.patience {
			return
		}
	}
	t.Errorf("it ended after %v: %v", time.Since(began), lines.Err())
}

// Who follows something with a token that is good no longer must show the new one.
func TestWhatIsFollowedEndsWithTheToken(t *testing.T) {
	path := tokenFile(t)
	c := open(t, Options{TokenFile: path, Node: &historian{}})
	url := run(t, c)
	follow := func(path, token string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), "GET", url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	next := strings.Repeat("n", tokenMin)
	for _, token := range []string{token, next} {
		var all []*http.Response
		for _, path := range []string{"/v1/feed", "/v1/events?follow=1"} {
			resp := follow(path, token)
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("%s: %s", path, resp.Status)
			}
			all = append(all, resp)
		}
		if token == next {
			if err := os.Remove(path); err != nil { // there is no token
				t.Fatal(err)
			}
		} else {
			replace(t, path, next)
		}
		for _, resp := range all {
			if _, err := io.Copy(io.Discard, resp.Body); err != nil { // to its end
				t.Errorf("%s: %v", resp.Request.URL, err)
			}
		}
		if code := follow("/v1/feed", token).StatusCode; code != http.StatusUnauthorized && code != http.StatusServiceUnavailable {
			t.Errorf("the old token is let in again: %d", code)
		}
	}
}

// historian is a node on which nothing happens.
type historian struct{ fakeNode }

func (h *historian) Timeline() admin.Timeline { return h }

func (*historian) Events(time.Time, int) []admin.Event { return nil }

func (*historian) Follow(ctx context.Context, _ time.Time, _ int) ([]admin.Event, <-chan admin.Event) {
	nextC := make(chan admin.Event)
	context.AfterFunc(ctx, func() { close(nextC) })
	return nil, nextC
}

// A body that is announced and does not come holds no connection: there are few, and
// nobody needs a token for this.
func TestABodyThatDoesNotComeHoldsNothing(t *testing.T) {
	c := open(t, Options{})
	c.patience = 100 * time.Millisecond
	address := strings.TrimPrefix(run(t, c), "http://")
	for _, framing := range []string{"Content-Length: 10", "Transfer-Encoding: chunked"} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n%s\r\n\r\n", address, framing)
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection is still held", framing)
		}
	}
}
