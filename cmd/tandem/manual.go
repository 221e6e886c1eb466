package main

import (
	"github.com/alecthomas/kong"

	"github.com/tandemlb/tandem/internal/manual"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

func (completionCmd) Help() string {
	return `Example:

  source <(tandem completion bash)

The packages install it for all three.`
}

// Run prints the completion of a shell.
func (c *completionCmd) Run(k *kong.Context, o output) error {
	shells := map[string]func(*kong.Application) []byte{"bash": manual.Bash, "zsh": manual.Zsh, "fish": manual.Fish}
	_, err := o.out.Write(shells[c.Shell](k.Model))
	return err
}

type manCmd struct{}

// Run prints the manual page of the command line.
func (manCmd) Run(k *kong.Context, o output) error {
	_, err := o.out.Write(manual.Commands(k.Model, version))
	return err
}
