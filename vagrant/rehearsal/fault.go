package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// A fault is something that befalls lb1, the preferred node.
type fault struct {
	name     string // on the command line
	title    string // in the table
	expected string
	// both means that both nodes own the VIP during the fault: neither can know that
	// the other one serves.
	both bool
	do   func(ctx context.Context, p *pair) error
	undo func(ctx context.Context, p *pair) error
}

// errNotHere is why a fault cannot be caused with a provider.
var errNotHere = errors.New("cannot be had with this provider")

func faults() []fault {
	return []fault{
		{
			name: "power-off", title: "lb1 powered off", expected: "lb2 takes over",
			do: powerOff, undo: powerOn,
		},
		{
			name: "link-down", title: "link of lb1 set down", expected: "lb2 takes over",
			do:   func(ctx context.Context, p *pair) error { return p.on(ctx, "ip link set "+p.link+" down") },
			undo: func(ctx context.Context, p *pair) error { return p.on(ctx, "ip link set "+p.link+" up") },
		},
		{
			name: "cable", title: "cable of lb1 pulled", expected: "lb2 takes over",
			do:   func(ctx context.Context, p *pair) error { return p.cable(ctx, false) },
			undo: func(ctx context.Context, p *pair) error { return p.cable(ctx, true) },
		},
		{
			name: "stop", title: "service of lb1 stopped", expected: "lb2 takes over, no request fails",
			do:   func(ctx context.Context, p *pair) error { return p.on(ctx, "systemctl stop tandem") },
			undo: func(ctx context.Context, p *pair) error { return p.on(ctx, "systemctl start --no-block tandem") },
		},
		{
			name: "kill", title: "service of lb1 killed", expected: "lb2 takes over",
			do: func(ctx context.Context, p *pair) error {
				// Not to be started again before it has been seen.
				return p.on(ctx, "d=/run/systemd/system/tandem.service.d; mkdir -p $d && "+
					`printf "[Service]\nRestart=no\n" >$d/rehearsal.conf && systemctl daemon-reload && `+
					"systemctl kill --kill-who=all -s KILL tandem")
			},
			undo: func(ctx context.Context, p *pair) error {
				return p.on(ctx, "rm -r /run/systemd/system/tandem.service.d; systemctl daemon-reload; "+
					"systemctl reset-failed tandem; systemctl start --no-block tandem")
			},
		},
		{
			name: "freeze", title: "lb1 frozen", expected: "lb2 takes over",
			do:   func(ctx context.Context, p *pair) error { return p.freeze(ctx, true) },
			undo: func(ctx context.Context, p *pair) error { return p.freeze(ctx, false) },
		},
		{
			name: "partition", title: "lb1 and lb2 cut from each other", expected: "both serve, lb1 alone after it", both: true,
			do: cut, undo: mend,
		},
	}
}

// on runs a line of shell on lb1.
func (p *pair) on(ctx context.Context, line string) error {
	_, err := p.run(ctx, preferred, line)
	return err
}

// cut has the nodes hear nothing of each other. What they send leaves them: a node that
// were kept from sending would know it, and yield.
func cut(ctx context.Context, p *pair) error {
	for node, peer := range map[string]string{preferred: other, other: preferred} {
		_, err := p.run(ctx, node, "nft add table inet rehearsal && "+
			"nft 'add chain inet rehearsal in { type filter hook input priority -300; }' && "+
			"nft add rule inet rehearsal in ip saddr "+addressOf(peer)+" drop")
		if err != nil {
			return err
		}
	}
	return nil
}

func mend(ctx context.Context, p *pair) error {
	var errs []error
	for _, node := range []string{preferred, other} {
		_, err := p.run(ctx, node, "nft delete table inet rehearsal")
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// powerOff takes the power from lb1, as far as its provider lets anyone.
func powerOff(ctx context.Context, p *pair) error {
	p.forget(preferred)
	if p.provider == "qemu" { // its `halt -f` presses the power button
		pid, err := p.qemuPid()
		if err != nil {
			return err
		}
		return syscall.Kill(pid, syscall.SIGKILL)
	}
	return p.vagrant(ctx, "halt", "-f", preferred)
}

func powerOn(ctx context.Context, p *pair) error {
	if err := p.vagrant(ctx, "up", "--no-provision", preferred); err != nil {
		return err
	}
	if err := p.prepare(ctx); err != nil {
		return err
	}
	return p.connect(ctx, preferred)
}

// cable plugs lb1 into the network of the VIP, or pulls it out.
func (p *pair) cable(ctx context.Context, in bool) error {
	state := map[bool]string{true: "up", false: "down"}[in]
	switch p.provider {
	case "libvirt":
		_, err := p.output(ctx, "virsh", "-c", "qemu:///system", "domif-setlink", p.id, p.macs[preferred], state)
		return err
	case "virtualbox":
		on := map[bool]string{true: "on", false: "off"}[in]
		_, err := p.output(ctx, "VBoxManage", "controlvm", p.id, "setlinkstate2", on)
		return err
	}
	return errNotHere
}

// freeze stops lb1, or has it go on.
func (p *pair) freeze(ctx context.Context, still bool) error {
	switch p.provider {
	case "libvirt":
		verb := map[bool]string{true: "suspend", false: "resume"}[still]
		_, err := p.output(ctx, "virsh", "-c", "qemu:///system", verb, p.id)
		return err
	case "virtualbox":
		verb := map[bool]string{true: "pause", false: "resume"}[still]
		_, err := p.output(ctx, "VBoxManage", "controlvm", p.id, verb)
		return err
	case "qemu":
		pid, err := p.qemuPid()
		if err != nil {
			return err
		}
		return syscall.Kill(pid, map[bool]syscall.Signal{true: syscall.SIGSTOP, false: syscall.SIGCONT}[still])
	}
	return errNotHere
}

// qemuPid returns the process that is lb1, with the provider qemu.
func (p *pair) qemuPid() (int, error) {
	home := os.Getenv("VAGRANT_HOME")
	if home == "" {
		home = filepath.Join(os.Getenv("HOME"), ".vagrant.d")
	}
	text, err := os.ReadFile(filepath.Join(home, "tmp", "vagrant-qemu", p.id, "qemu.pid"))
	if err != nil {
		return 0, fmt.Errorf("find the process of %s: %w", preferred, err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid < 2 {
		return 0, fmt.Errorf("the process of %s: %q is none", preferred, text)
	}
	return pid, nil
}

// addressOf returns the address of a node on the network of the VIP, as in tandem.yaml.
func addressOf(node string) string {
	return map[string]string{preferred: "192.168.56.11", other: "192.168.56.12"}[node]
}
