package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"
)

// Client talks to a node, over its unix socket or over TCP.
type Client struct {
	socket string // or the URL, as it was given
	base   string // of URLs
	token  string // empty: none
	http   http.Client
}

// socketBase is the base of URLs on a socket, where no host is looked at.
const socketBase = "http://tandem"

// NewClient returns a client for the node at socket; it does not connect yet.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &Client{socket: socket, base: socketBase, http: http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// Status asks for the status of the node.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	s := new(Status)
	return s, c.call(ctx, http.MethodGet, "/v1/status", nil, s)
}

// Explain asks why the node does, or does not, own its VIPs.
func (c *Client) Explain(ctx context.Context) (*Explanation, error) {
	e := new(Explanation)
	return e, c.call(ctx, http.MethodGet, "/v1/explain", nil, e)
}

// Events asks what happened on the nodes since a time: the newest, at most limit.
func (c *Client) Events(ctx context.Context, since time.Time, limit int) ([]Event, error) {
	var all Events
	err := c.call(ctx, http.MethodGet, "/v1/events?"+eventQuery(since, limit).Encode(), nil, &all)
	return all.Events, err
}

// ErrEnded is why Follow returns when the node ends what it has begun to tell.
var ErrEnded = errors.New("the node ended the events")

// Follow is Events, and goes on with what happens until ctx is done or the node ends:
// each is passed to tell.
func (c *Client) Follow(ctx context.Context, since time.Time, limit int, tell func(Event) error) error {
	q := eventQuery(since, limit)
	q.Set("follow", "1")
	resp, err := c.ask(ctx, http.MethodGet, "/v1/events?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(resp.Body) // the status says enough
		return c.refused(resp, body)
	}
	lines := json.NewDecoder(resp.Body)
	for {
		var e Event
		if err := lines.Decode(&e); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrEnded, c.socket, err)
		}
		if err := tell(e); err != nil {
			return err
		}
	}
}

func eventQuery(since time.Time, limit int) url.Values {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	if !since.IsZero() {
		q.Set("since", since.UTC().Format(time.RFC3339Nano))
	}
	return q
}

// Reload has the node read its config again. The error is the node's reason for
// refusing it.
func (c *Client) Reload(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/v1/reload", nil, nil)
}

// Change changes a server of a pool on the node. The error is the node's reason for
// refusing it.
func (c *Client) Change(ctx context.Context, change ServerChange) error {
	return c.call(ctx, http.MethodPost, "/v1/server", change, nil)
}

// ask sends a request to the node, and returns its answer.
func (c *Client) ask(ctx context.Context, method, path string, content io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, content)
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.explain(err)
	}
	return resp, nil
}

// call sends what, unless it is nil, and decodes the answer into into, unless that is.
func (c *Client) call(ctx context.Context, method, path string, what, into any) error {
	var content io.Reader
	if what != nil {
		text, err := json.Marshal(what)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	resp, err := c.ask(ctx, method, path, content)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("read the answer from %s: %w", c.socket, err)
	}
	if resp.StatusCode != http.StatusOK {
		return c.refused(resp, body)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("decode the answer from %s: %w", c.socket, err)
	}
	return nil
}

// refused says why the node did not do what it was asked.
func (c *Client) refused(resp *http.Response, body []byte) error {
	var f Failure
	if json.Unmarshal(body, &f) == nil && f.Error != "" {
		return errors.New(f.Error)
	}
	return fmt.Errorf("ask the node at %s: it answered %s", c.socket, resp.Status)
}

// explain says what a failed connection most likely means.
func (c *Client) explain(err error) error {
	if c.base != socketBase {
		return c.unreachable(err)
	}
	hint := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		hint = " (is tandem running? is it another --socket?)"
	case errors.Is(err, syscall.ECONNREFUSED):
		hint = " (tandem is not running)"
	case errors.Is(err, fs.ErrPermission):
		hint = " (only root and the socket's group may ask; try sudo)"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return fmt.Errorf("connect to %s: %w%s", c.socket, err, hint)
}
