package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"go.uber.org/zap"
	"golang.org/x/term"

	"github.com/tandemlb/tandem/internal/config"
	"github.com/tandemlb/tandem/internal/sdnotify"
	"github.com/tandemlb/tandem/internal/supervisor"
	"github.com/tandemlb/tandem/internal/telemetry"
)

type runCmd struct {
	Config  string `short:"c" placeholder:"FILE" default:"${config}" help:"Config file, the same on both nodes."`
	Node    string `placeholder:"NAME" help:"Which node of the config this is. Default: the one whose address this host has."`
	Socket  string `placeholder:"PATH" help:"Admin socket, instead of the config's."`
	Example bool   `help:"Run a small example instead of a config: a proxy on 127.0.0.1:8080 before two built-in servers. Needs no root."`
}

func (runCmd) Help() string {
	return `Example:

  tandem run -c /etc/tandem/tandem.yaml

SIGHUP loads the config again; SIGTERM hands the VIP over, lets connections
finish, and ends. Logs are JSON lines on standard error.`
}

// Run runs a node until it is told to stop.
func (c *runCmd) Run(ctx context.Context, o output) error {
	state := stateDir()
	if c.Example {
		e, err := startExample(o)
		if err != nil {
			return err
		}
		defer e.close()
		c.Config, state = e.config(), e.state()
	}
	ignoreLostReader()
	log, err := telemetry.NewLogger(o.err, "info", "supervisor")
	if err != nil {
		return err
	}
	defer log.Close()
	err = supervisor.Run(ctx, supervisor.Options{
		ConfigPath: c.Config, Node: c.Node, Socket: c.Socket, UserSocket: userSocket(), StateDir: state,
		Version: version, Log: log.Logger, Level: log.Level, ReloadC: hangups(ctx),
	})
	if err == nil {
		return nil
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	sdnotify.Status("the node does not run: " + first)
	var said error
	if !isTerminal(o.err) { // else it is for a person to read
		telemetry.As(log.Logger, "supervisor", c.Node, os.Getpid()).Error("the node does not run", zap.Error(err), telemetry.Always())
		said = errSilent
	}
	if wrong := (config.Errors{}); errors.As(err, &wrong) {
		return errors.Join(said, errConfig, err)
	}
	return errors.Join(said, err)
}

// exitConfig is the status with which a node ends whose config is wrong (EX_CONFIG of
// sysexits.h): to start it again is of no use.
const exitConfig = 78

// errConfig ends the program with that status.
var errConfig = errors.New("the config is wrong")

// isTerminal reports whether somebody looks at w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// hangups delivers each SIGHUP until ctx is done. From then on they are ignored:
// the default would end the supervisor in the middle of a handover.
func hangups(ctx context.Context) <-chan os.Signal {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	context.AfterFunc(ctx, func() { signal.Ignore(syscall.SIGHUP) })
	return c
}
