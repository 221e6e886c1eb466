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
	"syscall"
)

// Client talks to the node that listens on a unix socket.
type Client struct {
	socket string
	http   http.Client
}

// NewClient returns a client for the node at socket; it does not connect yet.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &Client{socket: socket, http: http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
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
	req, err := http.NewRequestWithContext(ctx, method, "http://tandem"+path, content)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.explain(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("read the answer from %s: %w", c.socket, err)
	}
	if resp.StatusCode != http.StatusOK {
		var f failure
		if json.Unmarshal(body, &f) == nil && f.Error != "" {
			return errors.New(f.Error)
		}
		return fmt.Errorf("ask the node at %s: it answered %s", c.socket, resp.Status)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("decode the answer from %s: %w", c.socket, err)
	}
	return nil
}

// explain says what a failed connection most likely means.
func (c *Client) explain(err error) error {
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
