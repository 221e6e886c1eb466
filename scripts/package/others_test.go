package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/lab/failover"
)

// installsWithoutPackage has lb1, which has no package of it, run a node by install.sh.
func (p *pair) installsWithoutPackage(t *testing.T, archive string, clean []string) {
	t.Helper()
	lb1 := p.nodes[0]
	at := filepath.Join(lb1.root, "root")
	if out, err := exec.CommandContext(t.Context(), "tar", "-C", at, "-xf", archive).CombinedOutput(); err != nil {
		t.Fatalf("unpack: %v\n%s", err, out)
	}
	script := "/root/" + strings.TrimSuffix(filepath.Base(archive), ".tar.gz") + "/install.sh"

	if said := lb1.do(script); !strings.Contains(said, "not started. Write /etc/tandem/tandem.yaml") {
		t.Errorf("install.sh says: %s", said)
	}
	if said := lb1.do("systemd-analyze", "verify", "tandem.service"); said != "" {
		t.Errorf("systemd-analyze verify: %s", said)
	}
	lb1.put("/etc/tandem/tandem.yaml", config, 0o644)
	lb1.put("/etc/tandem/cluster.key", key, 0o600)
	p.event(t, "start of a node without a package", failover.LB1, none, lb1.serve)
	p.event(t, "install.sh again", failover.LB1, none, func() {
		if said := lb1.do(script); !strings.Contains(said, "restarted") {
			t.Errorf("install.sh says: %s", said)
		}
	})
	p.event(t, "install.sh --uninstall", failover.LB2, none, func() { lb1.do(script, "--uninstall") })
	if !lb1.exists("/etc/tandem/tandem.yaml") || lb1.exists("/usr/local/bin/tandem") {
		t.Error("not the config is kept, and nothing else")
	}
	lb1.do(script, "--purge")
	lb1.leftNothing(clean)
}

// TestRPM installs, upgrades and erases the rpm in a file system of Debian, whose scripts
// run there as they would elsewhere; systemd does not run in it.
func TestRPM(t *testing.T) {
	if _, err := exec.LookPath("rpm"); err != nil {
		missing(t, err.Error())
	}
	root := layer(t, rootfs(t))
	rpm := func(args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "rpm", append([]string{"--root", root}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("rpm %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	has := func(path string) bool {
		_, err := os.Lstat(filepath.Join(root, path))
		return err == nil
	}
	rpm("--initdb")
	// What it depends on is there, by another package manager.
	said := rpm("--install", "--nodeps", one(t, built(t, before)+"/*.rpm"))
	if !strings.Contains(said, "installed, and not started") {
		t.Errorf("install says: %s", said)
	}
	for _, path := range []string{
		"/usr/bin/tandem", "/usr/lib/systemd/system/tandem.service", "/etc/tandem/tandem.yaml",
		"/usr/share/man/man1/tandem.1.gz", "/usr/share/man/man5/tandem.yaml.5.gz", "/usr/share/zsh/site-functions/_tandem",
	} {
		if !has(path) {
			t.Errorf("there is no %s", path)
		}
	}
	users, err := os.ReadFile(filepath.Join(root, "etc/passwd"))
	if err != nil || !strings.Contains(string(users), "\ntandem:x:") {
		t.Errorf("no user: %v\n%s", err, users)
	}
	if out, err := exec.CommandContext(t.Context(), "chroot", root, "tandem", "version").CombinedOutput(); err != nil || !strings.Contains(string(out), before) {
		t.Errorf("version: %v, %s", err, out)
	}

	mine := filepath.Join(root, "etc/tandem/tandem.yaml")
	if err := os.WriteFile(mine, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	rpm("--upgrade", "--nodeps", one(t, built(t, after)+"/*.rpm"))
	if text, err := os.ReadFile(mine); err != nil || string(text) != config {
		t.Errorf("after an upgrade the config is %s (%v)", text, err)
	}
	if out, err := exec.CommandContext(t.Context(), "chroot", root, "tandem", "version").CombinedOutput(); err != nil || !strings.Contains(string(out), after) {
		t.Errorf("version: %v, %s", err, out)
	}

	rpm("--erase", "tandem")
	if has("/usr/bin/tandem") || has("/usr/lib/systemd/system/tandem.service") || has("/etc/tandem/tandem.yaml") {
		t.Error("something is left")
	}
	if !has("/etc/tandem/tandem.yaml.rpmsave") {
		t.Error("an edited config is lost")
	}
}

// layer mounts a file system over base, until the test ends.
func layer(t *testing.T, base string) (root string) {
	t.Helper()
	dir := t.TempDir()
	root = filepath.Join(dir, "root")
	for _, d := range []string{"root", "upper", "work"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	options := "lowerdir=" + base + ",upperdir=" + dir + "/upper,workdir=" + dir + "/work"
	if err := unix.Mount("overlay", root, "overlay", 0, options); err != nil {
		missing(t, "mount an overlay: "+err.Error())
	}
	t.Cleanup(func() {
		if err := unix.Unmount(root, 0); err != nil {
			t.Errorf("unmount %s: %v", root, err)
		}
	})
	return root
}
