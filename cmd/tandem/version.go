package main

import (
	"fmt"
	"runtime"
)

type versionCmd struct {
	JSON bool `help:"Print JSON."`
}

func (versionCmd) Help() string { return "Example:\n\n  tandem version" }

// Run prints what this program is.
func (c *versionCmd) Run(o output) error {
	if c.JSON {
		return printJSON(o, map[string]string{"version": version, "go": runtime.Version(), "arch": runtime.GOARCH})
	}
	_, err := fmt.Fprintf(o.out, "tandem %s (%s, %s)\n", version, runtime.Version(), runtime.GOARCH)
	return err
}
