// Package vagrant_test looks at what can be looked at without machines: that the
// scripts, the configs and the Vagrantfile are sound and agree.
package vagrant_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/internal/config"
)

func TestScriptsAreSound(t *testing.T) {
	var scripts []string
	for _, pattern := range []string{"*.sh", "*/*.sh"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		scripts = append(scripts, found...)
	}
	if len(scripts) < 6 {
		t.Fatalf("found only %q", scripts)
	}
	for _, script := range scripts {
		if said, err := exec.Command("bash", "-n", script).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", script, err, said)
		}
	}
	shellcheck := tool(t, "shellcheck")
	if said, err := exec.Command(shellcheck, scripts...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
}

func TestVagrantfileIsValid(t *testing.T) {
	if _, err := os.Stat("../bin/tandem"); err != nil {
		t.Skip("the machines get bin/tandem: make build")
	}
	cmd := exec.Command(tool(t, "vagrant"), "validate", "--ignore-provider")
	cmd.Env = append(os.Environ(), "VAGRANT_HOME="+t.TempDir(), "VAGRANT_CHECKPOINT_DISABLE=1",
		"VAGRANT_DOTFILE_PATH="+t.TempDir(), "TANDEM_VM_DRIVER=qemu")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
}

func TestConfigsAreValid(t *testing.T) {
	for _, name := range []string{"tandem.yaml", "server.yaml"} {
		if _, err := config.Parse(name, []byte(read(t, name))); err != nil {
			t.Error(err)
		}
	}
}

// What provisioning changes in the configs has to be there.
func TestProvisioningFindsWhatItChanges(t *testing.T) {
	script := read(t, "provision/tandem.sh")
	for file, text := range map[string]string{"tandem.yaml": "advertise: 100ms", "server.yaml": "body: NAME"} {
		if !strings.Contains(read(t, file), text) || !strings.Contains(script, "s/"+text+"/") {
			t.Errorf("%q is not in %s, or provision/tandem.sh does not change it", text, file)
		}
	}
}

// The addresses are those of the Vagrantfile everywhere.
func TestAddressesAgree(t *testing.T) {
	vagrantfile, pair, rehearsal := read(t, "Vagrantfile"), read(t, "tandem.yaml"), read(t, "rehearsal/pair.go")+read(t, "rehearsal/fault.go")
	for _, a := range []struct {
		address     string
		inPair      string
		inRehearsal string
	}{
		{"192.168.56.10", "addresses: 192.168.56.10/24", `"192.168.56.10"`},
		{"192.168.56.11", "lb1: 192.168.56.11", `"192.168.56.11"`},
		{"192.168.56.12", "lb2: 192.168.56.12", `"192.168.56.12"`},
		{"192.168.56.21", `"192.168.56.21:8080"`, ""},
		{"192.168.56.22", `"192.168.56.22:8080"`, ""},
	} {
		for text, in := range map[string]string{`"` + a.address + `"`: vagrantfile, a.inPair: pair, a.inRehearsal: rehearsal} {
			if !strings.Contains(in, text) {
				t.Errorf("%s: %q is not where it ought to be", a.address, text)
			}
		}
	}
}

// tool returns the path of a program that CI has, and others may have.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not there", name)
		}
		t.Skipf("%s is not there", name)
	}
	return path
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
