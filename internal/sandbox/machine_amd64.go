package sandbox

import "golang.org/x/sys/unix"

var machines = map[string]machine{"amd64": {
	audit:   unix.AUDIT_ARCH_X86_64,
	foreign: 1 << 30, // x32
	refused: []uint32{
		unix.SYS_FORK, unix.SYS_IOPERM, unix.SYS_IOPL, unix.SYS_MODIFY_LDT, unix.SYS_USELIB, unix.SYS_VFORK,
	},
}}
