package doctor

import (
	"fmt"
	"strings"
)

// Capabilities, by their bits (capabilities(7)).
const (
	capKill              = 5
	capSetGID, capSetUID = 6, 7
	capNetBind           = 10
	capNetAdmin          = 12
	capNetRaw            = 13
	capIPCLock           = 14
	capSysNice           = 23
)

// Least of what a busy node needs. A proxied connection takes two descriptors.
const (
	fewDescriptors = 1024
	goodDescriptor = 65536
	littleLocked   = 64 << 20 // a heartbeat locks some 30 MiB
	realtime       = 49       // the priority of the heartbeat
	littleMemory   = 128 << 20
	fewTasks       = 128
)

func (e *examination) config() {
	const check = "config"
	switch {
	case e.Config.Error != "":
		e.fail(check, e.Config.Error, "a node does not start with it", "tandem check -c "+e.Config.Path)
	case e.Config.Place != "":
		e.fail(check, e.Config.Place, "the VIPs have no place on this host", "set nodes or interface in "+e.Config.Path)
	case e.Config.Node == "":
		e.ok(check, e.Config.Path+" is valid, for a single proxy")
	default:
		e.ok(check, fmt.Sprintf("%s is valid, this is %s", e.Config.Path, e.Config.Node))
	}
}

func (e *examination) node() {
	const check = "node"
	for _, p := range e.Programs {
		if p == "keepalived" && len(e.VIPs) > 0 {
			e.warn(check, "keepalived runs here", "it may own the same addresses, and speak for the same virtual routers",
				"systemctl disable --now keepalived, once Tandem is to take over")
		}
	}
	if e.Running == nil {
		e.ok(check, "no node runs here: what it would need is looked at as "+e.Process.Of+" has it")
		return
	}
	e.ok(check, "a node runs here: its ports are not tried")
}

func (e *examination) machine() {
	const check = "machine"
	if e.Machine.Container != "" {
		e.ok(check, "this is a container of "+e.Machine.Container)
	}
	if e.Machine.Cloud != "" && len(e.VIPs) > 0 {
		e.warn(check, "this machine belongs to "+e.Machine.Cloud,
			"networks of clouds carry no multicast, ignore gratuitous ARP, and drop what comes from addresses that they have not given: a VIP does not move",
			"set unicast: true, and have the network deliver the VIP to both nodes (allowed addresses, a route, an alias that is moved), or use a load balancer of the cloud")
	}
}

func (e *examination) capabilities() {
	const check = "capabilities"
	var lacks, slow []string
	has := func(bit uint) bool { return e.Process.Effective&(1<<bit) != 0 }
	if len(e.VIPs) > 0 {
		for _, c := range []struct {
			bit  uint
			name string
		}{{capNetAdmin, "NET_ADMIN"}, {capNetRaw, "NET_RAW"}} {
			if !has(c.bit) {
				lacks = append(lacks, c.name)
			}
		}
		if !has(capSysNice) && e.Process.RealtimeLimit < realtime {
			slow = append(slow, "SYS_NICE")
		}
		if !has(capIPCLock) && e.Process.LockedMemory != 0 && e.Process.LockedMemory < littleLocked {
			slow = append(slow, "IPC_LOCK")
		}
	}
	if len(lacks) > 0 {
		e.fail(check, e.Process.Of+" lacks "+strings.Join(lacks, " and "), "without them no VIP can be set, announced or advertised", e.grant(append(lacks, slow...)))
	} else if len(slow) > 0 {
		e.warn(check, e.Process.Of+" lacks "+strings.Join(slow, " and "),
			"a busy host delays the heartbeat, and the peer takes over for nothing", e.grant(slow))
	}
	if e.Process.UID == 0 && (!has(capSetUID) || !has(capSetGID)) {
		e.fail(check, e.Process.Of+" is root and lacks SETUID or SETGID", "it cannot give up root for the worker, and does not start it", e.grant([]string{"SETUID", "SETGID"}))
	}
	if e.Process.UID == 0 && !has(capKill) {
		e.fail(check, e.Process.Of+" is root and lacks KILL", "it could not end a worker that hangs, which is another user's, and does not start it", e.grant([]string{"KILL"}))
	}
	if !e.found(check) {
		e.ok(check, e.Process.Of+" has what a node needs")
	}
}

// grant says how to get capabilities.
func (e *examination) grant(names []string) string {
	if e.Machine.Container != "" {
		return "start the container with --cap-add " + strings.Join(names, " --cap-add ")
	}
	if e.Running == nil && e.Process.UID != 0 {
		return "run it as root: sudo tandem doctor; or under systemd with AmbientCapabilities=CAP_" + strings.Join(names, " CAP_")
	}
	return "systemctl edit tandem, and add to [Service]: CapabilityBoundingSet=CAP_" + strings.Join(names, " CAP_") + " and the same as AmbientCapabilities="
}

func (e *examination) sandbox() {
	const check = "sandbox"
	switch {
	case e.Running != nil && e.Running.Sandbox != "" && e.Running.Confined:
		e.ok(check, "worker: "+e.Running.Sandbox)
	case e.Running != nil && e.Running.Sandbox != "":
		e.warn(check, "worker: "+e.Running.Sandbox, "who takes over the worker by a bug in it may do more on this host",
			"start a kernel from 5.13 on with landlock in lsm=, and let SystemCallFilter= of the unit pass @sandbox")
	case e.Kernel.Landlock == 0:
		e.warn(check, "the kernel has no landlock", "who takes over the worker by a bug in it may read what its user can",
			"start a kernel from 5.13 on with lsm=landlock,... on its command line")
	default:
		e.ok(check, fmt.Sprintf("the kernel has landlock, ABI %d", e.Kernel.Landlock))
	}
	if e.Process.UID == 0 && e.Process.WorkerUser == "nobody" {
		e.warn(check, "there is no user tandem: the worker runs as nobody", "other daemons are nobody as well, and may signal it",
			"useradd --system --no-create-home --shell /usr/sbin/nologin tandem")
	}
	if e.Process.UID == 0 && e.Process.ExecutableMode != 0 && e.Process.ExecutableMode&0o005 != 0o005 {
		e.fail(check, fmt.Sprintf("%s has mode %04o", e.Process.Executable, e.Process.ExecutableMode), "the worker's user cannot execute it",
			"chmod 0755 "+e.Process.Executable)
	}
}

func (e *examination) limits() {
	const check = "limits"
	n := e.Process.Descriptors
	if e.Running != nil && e.Running.Descriptors > 0 {
		n = e.Running.Descriptors
	}
	fix := "systemctl edit tandem, and add to [Service]: LimitNOFILE=1048576"
	if e.Machine.Container != "" {
		fix = "start the container with --ulimit nofile=1048576:1048576"
	}
	switch {
	case n == 0:
		e.ok(check, "any number of open files")
	case n < fewDescriptors:
		e.fail(check, fmt.Sprintf("%d open files at most", n), "a proxied connection takes two: clients are turned away early", fix)
	case n < goodDescriptor:
		e.warn(check, fmt.Sprintf("%d open files at most", n), fmt.Sprintf("a proxied connection takes two: beyond some %d clients are turned away", n/2), fix)
	default:
		e.ok(check, fmt.Sprintf("%d open files", n))
	}
}

// group looks at the limits of the control group.
func (e *examination) group() {
	const check = "cgroup"
	p := e.Process
	if p.Memory > 0 && p.Memory < littleMemory {
		e.warn(check, fmt.Sprintf("%d MiB of memory at most", p.Memory>>20), "a node turns work away when that is short, and is killed beyond it",
			"systemctl set-property tandem MemoryMax=1G")
	}
	if p.Tasks > 0 && p.Tasks < fewTasks {
		e.warn(check, fmt.Sprintf("%d threads at most", p.Tasks), "a program that cannot start a thread ends", "systemctl set-property tandem TasksMax=1024")
	}
	if p.CPU > 0 && p.CPU < 1 && len(e.VIPs) > 0 {
		e.warn(check, fmt.Sprintf("%.2f of a CPU at most", p.CPU), "the heartbeat stands still with the rest when that is used up, and the peer takes over",
			"systemctl set-property tandem CPUQuota=, and limit what else runs there")
	}
	if !e.found(check) {
		e.ok(check, "no limit that hurts")
	}
}

func (e *examination) scheduler() {
	const check = "scheduler"
	if len(e.VIPs) == 0 {
		return
	}
	runtime := e.Kernel.Sysctls["kernel.sched_rt_runtime_us"]
	switch {
	case runtime == "0":
		e.fail(check, "kernel.sched_rt_runtime_us is 0", "nothing runs in real time: a busy host delays the heartbeat", "sysctl -w kernel.sched_rt_runtime_us=950000")
	case e.Running != nil && e.Running.Realtime != "" && e.Running.Realtime != "yes":
		e.warn(check, "the heartbeat does not run in real time: "+e.Running.Realtime, "a busy host delays it, and the peer takes over for nothing",
			e.grant([]string{"SYS_NICE"}))
	case e.Running != nil && e.Running.Locked != "" && e.Running.Locked != "yes":
		e.warn(check, "the memory of the heartbeat is not locked: "+e.Running.Locked, "it stands still while its pages are read from a disk", e.grant([]string{"IPC_LOCK"}))
	case e.Running != nil:
		e.ok(check, "the heartbeat runs in real time, its memory is locked")
	default:
		e.ok(check, "real time is not ruled out")
	}
}
