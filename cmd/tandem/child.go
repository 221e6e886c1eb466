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
	"github.com/tandemlb/tandem/internal/sandbox"
	"github.com/tandemlb/tandem/internal/telemetry"
	"github.com/tandemlb/tandem/internal/worker"
)

// Descriptors of a child.
const (
	controlFD = 3 // the socket between it and its supervisor
	logFD     = 4 // of a worker: the node's standard error
)

type agentCmd struct {
	Node string // its supervisor speaks for it
}

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

type workerCmd struct {
	Node string // for the log
}

// Run is the worker process.
func (c workerCmd) Run() error {
	ignoreSignals()
	confined := sandbox.Enter() // before it is told anything
	conn, err := control[ipc.ToWorker, ipc.FromWorker]()
	if err != nil {
		return err
	}
	defer conn.Close()
	out := os.NewFile(logFD, "log")
	log, err := telemetry.NewLogger(out, "info", "worker")
	if err != nil {
		return err
	}
	defer log.Close()
	return worker.Run(context.Background(), conn, worker.Options{
		Log: telemetry.As(log.Logger, "worker", c.Node, os.Getpid()), Level: log.Level, Access: telemetry.Lines(out),
		Sandbox: ipc.Sandbox(confined),
	})
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
