//go:build !amd64 && !arm64

package sandbox

var machines map[string]machine
