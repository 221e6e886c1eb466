package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// sshWithin bounds what a machine is asked to do: they may be emulated in software,
// on a busy host.
const sshWithin = 90 * time.Second

// machines are those of the Vagrantfile in dir.
type machines struct {
	dir       string
	sshConfig string // a file, written anew after a machine has started
}

// prepare asks Vagrant how the machines are reached. Later logins to a machine share a
// connection: an emulated one takes seconds for each.
func (m *machines) prepare(ctx context.Context) error {
	config, err := m.output(ctx, "vagrant", "ssh-config")
	if err != nil {
		return fmt.Errorf("ask for the way to the machines (hint: `vagrant up` first): %w", err)
	}
	config += "\nHost *\n  ControlPath " + m.sshConfig + "-%n\n"
	return os.WriteFile(m.sshConfig, []byte(config), 0o600)
}

// connect makes the connection to a machine that is shared.
func (m *machines) connect(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, sshWithin)
	defer cancel()
	// What it would say goes nowhere: it holds its standard error open for ever.
	cmd := exec.CommandContext(ctx, "ssh", "-F", m.sshConfig, "-o", "ControlMaster=yes", "-fN", name)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("log in to %s (hint: vagrant ssh %s): %w", name, name, err)
	}
	return nil
}

// forget ends the connection to a machine, which may be gone, if there is one.
func (m *machines) forget(name string) {
	_ = exec.Command("ssh", "-F", m.sshConfig, "-O", "exit", name).Run() // there may be none
}

// hangUp ends the connections to all machines that are asked anything.
func (m *machines) hangUp() {
	for _, name := range []string{preferred, other, client} {
		m.forget(name)
	}
}

// vagrant runs a command of Vagrant.
func (m *machines) vagrant(ctx context.Context, args ...string) error {
	_, err := m.output(ctx, "vagrant", args...)
	return err
}

// ssh is the command that runs a line of shell on a machine.
func (m *machines) ssh(ctx context.Context, name, line string) *exec.Cmd {
	return exec.CommandContext(ctx, "ssh", "-F", m.sshConfig, "-o", "LogLevel=ERROR",
		"-o", "ConnectTimeout=30", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=6", name, line)
}

// run runs a line of shell on a machine, as root, and returns what it prints.
func (m *machines) run(ctx context.Context, name, line string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, sshWithin)
	defer cancel()
	return output(m.ssh(ctx, name, "sudo sh -c "+quote(line)))
}

// upload brings a file to a machine, as an executable.
func (m *machines) upload(ctx context.Context, name, file, destination string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*sshWithin)
	defer cancel()
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	to := quote(destination)
	cmd := m.ssh(ctx, name, "sudo sh -c "+quote("cat >"+to+".new && chmod 755 "+to+".new && mv "+to+".new "+to))
	cmd.Stdin = in
	_, err = output(cmd)
	return err
}

// provider returns how a machine is run, and by what name that knows it.
func (m *machines) provider(name string) (provider, id string, err error) {
	found, err := filepath.Glob(filepath.Join(m.dir, ".vagrant", "machines", name, "*", "id"))
	if err != nil || len(found) != 1 {
		return "", "", errors.Join(fmt.Errorf("%s has %d providers, not one", name, len(found)), err)
	}
	text, err := os.ReadFile(found[0])
	return filepath.Base(filepath.Dir(found[0])), strings.TrimSpace(string(text)), err
}

func (m *machines) output(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = m.dir
	return output(cmd)
}

// output returns what the command prints; when it fails, what it says is in the error.
func output(cmd *exec.Cmd) (string, error) {
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(said.Bytes()))
	}
	return string(out), nil
}

// quote makes one word of the shell of text.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
