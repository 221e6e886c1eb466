package container

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// composeFile is what compose.yaml uses of its language; anything else is an error, as
// it would not be tested.
type composeFile struct {
	Node     any                       `yaml:"x-node"`
	Server   any                       `yaml:"x-server"`
	Services map[string]composeService `yaml:"services"`
	Networks map[string]struct {
		Driver string `yaml:"driver"`
		IPAM   struct {
			Config []struct {
				Subnet  string `yaml:"subnet"`
				IPRange string `yaml:"ip_range"`
			} `yaml:"config"`
		} `yaml:"ipam"`
	} `yaml:"networks"`
}

type composeService struct {
	Image    string   `yaml:"image"`
	Build    string   `yaml:"build"`
	Hostname string   `yaml:"hostname"`
	Command  []string `yaml:"command"`
	Volumes  []string `yaml:"volumes"`
	Networks map[string]struct {
		IPv4 string `yaml:"ipv4_address"`
	} `yaml:"networks"`
	Healthcheck struct{ Disable bool } `yaml:"healthcheck"`
	CapDrop     []string               `yaml:"cap_drop"`
	CapAdd      []string               `yaml:"cap_add"`
	ReadOnly    bool                   `yaml:"read_only"`
	StopGrace   string                 `yaml:"stop_grace_period"`
}

func readCompose(t *testing.T) composeFile {
	t.Helper()
	f, err := os.Open("../../compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var c composeFile
	d := yaml.NewDecoder(f)
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

// network returns the arguments that create a network of the file.
func (c composeFile) network(name string) []string {
	n := c.Networks[name]
	args := []string{"network", "create", "--driver", n.Driver, "--disable-dns"}
	for _, i := range n.IPAM.Config {
		args = append(args, "--subnet", i.Subnet, "--ip-range", i.IPRange)
	}
	return append(args, name)
}

// run returns the arguments that start a service of the file.
func (c composeFile) run(t *testing.T, name string) []string {
	t.Helper()
	s := c.Services[name]
	args := []string{"run", "--detach", "--name", name}
	if s.Hostname != "" {
		args = append(args, "--hostname", s.Hostname)
	}
	for network, n := range s.Networks {
		args = append(args, "--network", network, "--ip", n.IPv4)
	}
	for _, v := range s.Volumes {
		source, rest, _ := strings.Cut(v, ":")
		path, err := filepath.Abs(filepath.Join("../..", source))
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, "--volume", path+":"+rest)
	}
	for _, k := range s.CapDrop {
		args = append(args, "--cap-drop", k)
	}
	for _, k := range s.CapAdd {
		args = append(args, "--cap-add", k)
	}
	if s.ReadOnly {
		args = append(args, "--read-only")
	}
	if s.StopGrace != "" {
		args = append(args, "--stop-timeout", strings.TrimSuffix(s.StopGrace, "s"))
	}
	if s.Healthcheck.Disable {
		args = append(args, "--no-healthcheck")
	}
	return append(append(args, "localhost/"+s.Image), s.Command...)
}
