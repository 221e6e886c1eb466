package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// read is what a process in the sandbox may do with the files that it may use.
const read = ll.AccessFSReadFile | ll.AccessFSReadDir

// readable are the files and folders that a worker reads, of those that there are: the
// certificates of CAs as crypto/x509 looks for them, with what they are links to, and the
// limits of its cgroup. It has no use for names: what DNS says it is told.
var readable = []string{
	"/etc/ca-certificates", "/etc/pki/ca-trust", "/etc/pki/tls/cacert.pem", "/etc/pki/tls/certs",
	"/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem", "/etc/ssl/certs", "/sys/fs/cgroup",
	"/usr/local/share/ca-certificates", "/usr/share/ca-certificates", "/usr/share/pki", "/var/lib/ca-certificates",
	"/dev/null", // which a spare descriptor is opened of
}

// restrictFiles leaves the process the files of readable and those below self, a
// descriptor of its folder in /proc, and no port of TCP to bind. It returns the version
// of the kernel's ABI that is in force.
func restrictFiles(self int) (abi int, err error) {
	abi, err = ll.LandlockGetABIVersion()
	if err != nil || abi == 0 {
		return 0, fmt.Errorf("the kernel does not have it, did not start with it (lsm=), or a filter of this container or unit refuses it: %w", err)
	}
	config, err := landlock.NewConfig(
		landlock.V9.HandledAccessFS, landlock.AccessNetSet(ll.AccessNetBindTCP), landlock.V9.Scoped,
	)
	if err != nil {
		return 0, err
	}
	rules := []landlock.Rule{landlock.PathAccess(read, fmt.Sprintf("/proc/self/fd/%d", self))}
	for _, path := range slices.Concat(readable, named()) {
		if info, err := os.Stat(path); err == nil {
			rules = append(rules, landlock.PathAccess(rights(info), path).IgnoreIfMissing())
		}
	}
	if err := config.BestEffort().Restrict(rules...); err != nil {
		return 0, err
	}
	return abi, nil
}

// named are the files and folders with which crypto/x509 is told to replace those of
// readable.
func named() []string {
	return append(filepath.SplitList(os.Getenv("SSL_CERT_DIR")), os.Getenv("SSL_CERT_FILE"))
}

// rights are those of read that there can be for what info describes.
func rights(info os.FileInfo) landlock.AccessFSSet {
	if info.IsDir() {
		return read
	}
	return ll.AccessFSReadFile
}
