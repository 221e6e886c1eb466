package exam

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/doctor"
)

// process looks at what a node may that this user starts, or the one that runs does.
func (e *exam) process() {
	p := &e.facts.Process
	pid := "self"
	p.Of, p.WorkerUser = "this shell", e.WorkerUser
	if e.status != nil && e.status.Worker.PID != 0 {
		if parent := field(readText(fmt.Sprintf("/proc/%d/status", e.status.Worker.PID)), "PPid"); parent != "" && parent != "0" {
			pid, p.Of = parent, "the running supervisor"
		}
	}
	status := readText("/proc/" + pid + "/status")
	p.Effective, _ = strconv.ParseUint(field(status, "CapEff"), 16, 64)
	if uids := strings.Fields(field(status, "Uid")); len(uids) > 1 {
		p.UID, _ = strconv.Atoi(uids[1])
	}
	limits := readText("/proc/" + pid + "/limits")
	p.Descriptors, p.LockedMemory = hardLimit(limits, "Max open files"), hardLimit(limits, "Max locked memory")
	p.RealtimeLimit = hardLimit(limits, "Max realtime priority")
	g := groupOf(readText("/proc/" + pid + "/cgroup"))
	p.Memory, p.Tasks = least("/sys/fs/cgroup", g, "memory.max"), least("/sys/fs/cgroup", g, "pids.max")
	p.CPU = quota("/sys/fs/cgroup", g)
	if path, err := os.Executable(); err == nil {
		if info, err := os.Stat(path); err == nil {
			p.Executable, p.ExecutableMode = path, uint32(info.Mode().Perm())
		}
	}
}

func readText(path string) string {
	text, _ := os.ReadFile(path) // what cannot be read is empty
	return string(text)
}

// field returns the value of a line "KEY: VALUE".
func field(text, key string) string {
	for line := range strings.Lines(text) {
		if k, v, is := strings.Cut(line, ":"); is && k == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// hardLimit returns a limit of a file /proc/PID/limits; 0: there is none, or it is not
// there.
func hardLimit(text, name string) uint64 {
	for line := range strings.Lines(text) {
		rest, is := strings.CutPrefix(line, name)
		if f := strings.Fields(rest); is && len(f) >= 2 {
			n, _ := strconv.ParseUint(f[1], 10, 64) // "unlimited" is no number
			return n
		}
	}
	return 0
}

// groupOf returns the control group (version 2) of a file /proc/PID/cgroup.
func groupOf(text string) string {
	for line := range strings.Lines(text) {
		if path, is := strings.CutPrefix(strings.TrimSpace(line), "0::"); is {
			return path
		}
	}
	return "/"
}

// least returns the least value of a limit in a group and those above it; 0: there is
// none.
func least(root, group, name string) uint64 {
	least := uint64(0)
	for _, dir := range above(root, group) {
		if n, err := strconv.ParseUint(strings.TrimSpace(readText(filepath.Join(dir, name))), 10, 64); err == nil && (least == 0 || n < least) {
			least = n
		}
	}
	return least
}

// quota returns how many CPUs a group may use; 0: any number.
func quota(root, group string) float64 {
	least := math.Inf(1)
	for _, dir := range above(root, group) {
		var most, period float64
		if n, err := fmt.Sscan(readText(filepath.Join(dir, "cpu.max")), &most, &period); err == nil && n == 2 && period > 0 {
			least = min(least, most/period)
		}
	}
	if math.IsInf(least, 1) {
		return 0
	}
	return least
}

// above returns the folder of a group, and those above it.
func above(root, group string) (all []string) {
	for dir := filepath.Join("/", group); ; dir = filepath.Dir(dir) {
		all = append(all, filepath.Join(root, dir))
		if dir == "/" {
			return all
		}
	}
}

// folder tells whether a node started by this user could write to a folder, which it
// makes if need be.
func folder(what, path string) doctor.Folder {
	f := doctor.Folder{What: what, Path: path}
	for dir := path; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		switch {
		case err != nil && dir != "/" && os.IsNotExist(err):
			continue
		case err != nil:
			f.Error = cause(err)
		case !info.IsDir():
			f.Error = dir + " is no folder"
		default:
			if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
				f.Error = cause(err)
			}
		}
		return f
	}
}

// managers finds programs by their names: those that configure networks, and those that
// do what Tandem does.
func (e *exam) managers() {
	running := commands()
	for _, known := range []struct {
		comm, name string
		manages    func(index int) (yes, keeps bool) // the interface of a number
	}{
		{"systemd-network", "systemd-networkd", networkd}, {"NetworkManager", "NetworkManager", networkManager},
		{"dhcpcd", "dhcpcd", always}, {"connmand", "connman", always},
	} {
		if !slices.Contains(running, known.comm) {
			continue
		}
		m := doctor.Manager{Name: known.name}
		for _, name := range e.facts.Links() {
			yes, keeps := known.manages(e.facts.Interfaces[name].Index)
			if yes {
				m.Manages = append(m.Manages, name)
			}
			if keeps {
				m.Keeps = append(m.Keeps, name)
			}
		}
		e.facts.Managers = append(e.facts.Managers, m)
	}
	for _, name := range []string{"haproxy", "keepalived"} {
		if slices.Contains(running, name) {
			e.facts.Programs = append(e.facts.Programs, name)
		}
	}
}

// commands returns the names of the processes of this network namespace, as far as they
// can be seen.
func commands() (all []string) {
	own, _ := os.Readlink("/proc/self/ns/net")
	paths, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, path := range paths {
		if ns, err := os.Readlink(filepath.Join(filepath.Dir(path), "ns/net")); err == nil && ns != own {
			continue // it sees other interfaces
		}
		all = append(all, strings.TrimSpace(readText(path)))
	}
	return all
}

func always(int) (yes, keeps bool) { return true, false }

// networkd tells whether systemd-networkd manages an interface, and leaves addresses of
// others alone there.
func networkd(index int) (yes, keeps bool) {
	state := readText(fmt.Sprintf("/run/systemd/netif/links/%d", index))
	value := func(key string) string {
		for line := range strings.Lines(state) {
			if v, is := strings.CutPrefix(strings.TrimSpace(line), key+"="); is {
				return v
			}
		}
		return ""
	}
	file := value("NETWORK_FILE")
	if file == "" || value("ADMIN_STATE") == "unmanaged" {
		return false, false
	}
	texts := readText(file)
	for _, dir := range []string{"/usr/lib/systemd/network/", "/run/systemd/network/", "/etc/systemd/network/"} {
		more, _ := filepath.Glob(dir + filepath.Base(file) + ".d/*.conf")
		for _, path := range more {
			texts += "\n" + readText(path)
		}
	}
	return true, keepsAll(texts)
}

// keepsAll reports whether the last KeepConfiguration= of a .network file keeps all.
func keepsAll(text string) bool {
	keeps := false
	for line := range strings.Lines(text) {
		if key, v, is := strings.Cut(line, "="); is && strings.TrimSpace(key) == "KeepConfiguration" {
			keeps = slices.Contains([]string{"yes", "true", "on", "1"}, strings.ToLower(strings.TrimSpace(v)))
		}
	}
	return keeps
}

// networkManager tells whether NetworkManager manages an interface.
func networkManager(index int) (yes, keeps bool) {
	state := readText(fmt.Sprintf("/run/NetworkManager/devices/%d", index))
	return !strings.Contains(state, "managed=0") && !strings.Contains(state, "managed=false"), false
}
