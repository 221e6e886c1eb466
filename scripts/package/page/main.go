// Page writes the manual page tandem.yaml(5), out of docs/configuration.md on its
// standard input, for the version that is its argument.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/tandemlb/tandem/internal/manual"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "page:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: page VERSION <docs/configuration.md")
	}
	text, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("read the document: %w", err)
	}
	_, err = out.Write(manual.Document(manual.Heading{
		Name: "tandem.yaml", Section: 5, Summary: "config of a Tandem load balancer pair", Version: args[0],
	}, string(text)))
	return err
}
