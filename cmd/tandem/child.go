package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/tandemlb/tandem/internal/agent"
	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/realtime"
	"github.com/tandemlb/tandem/internal/telemetry"
	"github.com/tandemlb/tandem/internal/worker"
)

// controlFD is the descriptor of the socket between a child and its supervisor.
const controlFD = 3

type agentCmd struct{}

// Run is the agent process. It obeys its supervisor alone: a signal to the
// process group must not make it leave before the supervisor says so.
func (agentCmd) Run() error {
	ignoreSignals()
	granted := agent.Privileges{Realtime: whyNot(realtime.Schedule()), Locked: whyNot(realtime.LockMemory())}
	conn, err := control[ipc.ToAgent, ipc.FromAgent]()
	if err != nil {
		return err
	}
	defer conn.Close()
	host, err := agent.Kernel()
	if err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	return agent.Run(context.Background(), conn, host, granted)
}

// whyNot returns the text of err, or "".
func whyNot(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

type workerCmd struct{}

// Run is the worker process.
func (workerCmd) Run(o output) error {
	ignoreSignals()
	conn, err := control[ipc.ToWorker, ipc.FromWorker]()
	if err != nil {
		return err
	}
	defer conn.Close()
	log, err := telemetry.NewLogger(o.err, "info")
	if err != nil {
		return err
	}
	defer log.Close()
	return worker.Run(context.Background(), conn, log.Named("worker"), log.Level, telemetry.Lines(o.err))
}

func ignoreSignals() {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	ignoreLostReader()
}

// ignoreLostReader keeps a node alive when whoever reads its log ends: Go ends a
// program by SIGPIPE that writes to a broken standard error.
func ignoreLostReader() { signal.Ignore(syscall.SIGPIPE) }

// control opens the socket to the supervisor.
func control[In, Out any]() (*ipc.Conn[In, Out], error) {
	f := os.NewFile(controlFD, "control socket")
	if f == nil {
		return nil, errors.New("open the control socket: no descriptor")
	}
	conn, err := ipc.New[In, Out](f)
	if err != nil {
		return nil, fmt.Errorf("%w (this command is started by tandem run, not by hand)", err)
	}
	return conn, nil
}
