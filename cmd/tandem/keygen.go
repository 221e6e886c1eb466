package main

import (
	"fmt"
	"strings"

	"github.com/tandemlb/tandem/internal/peer"
)

type keygenCmd struct {
	JSON bool `help:"Print JSON."`
}

func (keygenCmd) Help() string {
	return `Example:

  (umask 077; tandem keygen > /etc/tandem/cluster.key)

Copy the file to the other node and name it in the config:

  cluster: {key_file: /etc/tandem/cluster.key}

Another one is good as the token of the status page, admin.token_file.`
}

// Run prints a new key.
func (c *keygenCmd) Run(o output) error {
	key := peer.NewKey()
	if c.JSON {
		return printJSON(o, map[string]string{"key": strings.TrimSpace(key)})
	}
	_, err := fmt.Fprint(o.out, key)
	return err
}
