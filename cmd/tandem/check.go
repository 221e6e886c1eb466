package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tandemlb/tandem/internal/certs"
	"github.com/tandemlb/tandem/internal/config"
	"github.com/tandemlb/tandem/internal/console"
	"github.com/tandemlb/tandem/internal/peer"
)

type checkCmd struct {
	Config    string `short:"c" placeholder:"FILE" default:"${config}" help:"Config file."`
	Effective bool   `help:"Print the config with every default filled in."`
	Files     bool   `help:"Read the certificates, keys and tokens that it names, too, as a node does."`
	JSON      bool   `help:"Print JSON."`
}

func (checkCmd) Help() string {
	return `Example:

  tandem check -c tandem.yaml --files && tandem reload`
}

// Run reports every error of the file.
func (c *checkCmd) Run(o output) error {
	src, err := os.ReadFile(c.Config)
	if err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	cfg, err := config.Parse(c.Config, src)
	var notices []string
	if err == nil && c.Files {
		notices, err = readFiles(cfg, time.Now())
	}
	if c.JSON {
		return c.json(o, cfg, err)
	}
	if err != nil {
		fmt.Fprintln(o.err, err)
		return errSilent
	}
	for _, n := range notices {
		fmt.Fprintf(o.err, "warning: %s\n", n)
	}
	if c.Effective {
		_, err := o.out.Write(cfg.Effective())
		return err
	}
	fmt.Fprintf(o.out, "%s is valid (hash %s)\n", c.Config, cfg.Hash())
	return nil
}

// readFiles reads the files that cfg names, and returns what is to be known of them.
func readFiles(cfg *config.Config, now time.Time) ([]string, error) {
	a := cfg.Admin
	notices, err := console.Check(console.Options{TokenFile: a.TokenFile, Cert: a.TLS.Cert, Key: a.TLS.Key}, now)
	errs := []error{err}
	if cfg.Cluster.KeyFile != "" {
		_, err := peer.ReadKey(cfg.Cluster.KeyFile)
		errs = append(errs, err)
	}
	files, err := certs.Load(cfg.Proxy, now, nil)
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	for _, n := range files.Status(now).Notices {
		notices = append(notices, n.String())
	}
	return notices, nil
}

func (c *checkCmd) json(o output, cfg *config.Config, err error) error {
	type report struct {
		Valid  bool          `json:"valid"`
		Hash   string        `json:"hash,omitempty"`
		Errors config.Errors `json:"errors"`
	}
	r := report{Valid: err == nil, Errors: config.Errors{}}
	var errs config.Errors
	switch {
	case err == nil:
		r.Hash = cfg.Hash()
	case errors.As(err, &errs):
		r.Errors = errs
	default:
		r.Errors = config.Errors{{File: c.Config, Message: err.Error()}}
	}
	if err := printJSON(o, r); err != nil {
		return err
	}
	if !r.Valid {
		return errSilent
	}
	return nil
}

// printJSON prints v for a program that reads it.
func printJSON(o output, v any) error {
	e := json.NewEncoder(o.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
