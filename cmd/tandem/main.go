// Tandem is a high-availability load balancer pair for Linux.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/tandemlb/tandem/internal/config"
)

// version is set by the linker (see the Makefile).
var version = "devel"

// cli is the command line.
type cli struct {
	Run     runCmd     `cmd:"" help:"Run this node (the daemon)."`
	Check   checkCmd   `cmd:"" help:"Validate a config file: exit 0, or 1 with every error."`
	Status  statusCmd  `cmd:"" help:"Show role and why, peer, VIPs, pools, config and drift."`
	Explain explainCmd `cmd:"" help:"Say why this node is, or is not, active: the arithmetic, the evidence, the last changes."`
	Events  eventsCmd  `cmd:"" help:"Show what happened on both nodes, one timeline: --follow, --since 1h."`
	Reload  reloadCmd  `cmd:"" help:"Have the node read its config again. A config that is refused changes nothing."`
	Server  serverCmd  `cmd:"" help:"List the servers, or change one at runtime: ready, drain, maint, weight=N, add, remove."`
	Doctor  doctorCmd  `cmd:"" help:"Say what on this host would hurt a node, and how to mend it."`
	Keygen  keygenCmd  `cmd:"" help:"Print a new cluster key."`
	Version versionCmd `cmd:"" help:"Print the version."`
	Demo    demoCmd    `cmd:"" help:"See a failover: a pair in network namespaces, under traffic, measured. Needs root."`

	Completion completionCmd `cmd:"" help:"Print the completion of a shell: bash, zsh or fish."`

	Man    manCmd    `cmd:"" hidden:""`
	Agent  agentCmd  `cmd:"" hidden:""`
	Worker workerCmd `cmd:"" hidden:""`
	Probe  probeCmd  `cmd:"" hidden:"" help:"Measure, as a client, for how long a service gives no answer."`
}

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		// Nothing has failed that another line would explain.
		if !errors.Is(err, errSilent) {
			fmt.Fprintln(os.Stderr, "tandem:", err)
		}
		if errors.Is(err, errConfig) {
			os.Exit(exitConfig)
		}
		os.Exit(1)
	}
}

// errSilent ends the program with status 1 when everything has been said.
var errSilent = errors.New("already reported")

// run is the program, with its arguments and outputs as values.
func run(args []string, stdout, stderr io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	exited := -1
	parser, err := kong.New(&cli{},
		kong.Name("tandem"),
		kong.Description("A high-availability load balancer pair: one binary, one config, two hosts."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.Vars{"config": "/etc/tandem/tandem.yaml", "socket": findSocket(os.Geteuid() == 0, config.DefaultSocket, userSocket())},
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(output{stdout, stderr}),
	)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if exited == 0 { // --help
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w (see: tandem --help)", err)
	}
	return parsed.Run()
}

// output is where a command writes.
type output struct{ out, err io.Writer }

// findSocket is the admin socket to ask where no flag names one: that of a node
// of this user if there is one, else that of the system's node.
func findSocket(root bool, system, user string) string {
	_, errSystem := os.Stat(system)
	_, errUser := os.Stat(user)
	if root || errUser != nil && errSystem == nil {
		return system
	}
	return user
}

// stateDir is systemd's directory for what outlives the process, of one or more
// (systemd.exec(5), StateDirectory=); empty: the config says.
func stateDir() string {
	dir, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":")
	return dir
}

// userSocket is the admin socket of a node whose user may not write to the
// default directory.
func userSocket() string {
	// systemd's, one or more (systemd.exec(5), RuntimeDirectory=).
	if dir, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":"); dir != "" {
		return filepath.Join(dir, "admin.sock")
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "tandem", "admin.sock")
	}
	return filepath.Join(os.TempDir(), "tandem-"+strconv.Itoa(os.Getuid()), "admin.sock")
}
