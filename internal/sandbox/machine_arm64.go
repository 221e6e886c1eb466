package sandbox

import "golang.org/x/sys/unix"

var machines = map[string]machine{"arm64": {audit: unix.AUDIT_ARCH_AARCH64}}
