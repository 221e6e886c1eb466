package main

import (
	"context"
	"fmt"
)

type reloadCmd struct {
	target
	JSON bool `help:"Print JSON."`
}

func (reloadCmd) Help() string {
	return `Example:

  tandem reload

The node reads its file again. Listeners, pools and servers that are the same as
before are not touched. When the file is refused, nothing changes.`
}

// Run has the node reload.
func (c *reloadCmd) Run(ctx context.Context, o output) error {
	node, err := c.client()
	if err != nil {
		return err
	}
	err = node.Reload(ctx)
	if c.JSON {
		r := struct {
			Reloaded bool   `json:"reloaded"`
			Error    string `json:"error,omitempty"`
		}{Reloaded: err == nil}
		if err != nil {
			r.Error = err.Error()
		}
		if err := printJSON(o, r); err != nil {
			return err
		}
		if !r.Reloaded {
			return errSilent
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("reload: %w", err)
	}
	_, err = fmt.Fprintln(o.out, "reloaded")
	return err
}
