// Package labtest gives tests a lab of network namespaces.
package labtest

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/tandemlb/tandem/internal/lab"
)

// New builds a lab for the test and closes it when the test ends. The test is
// skipped where namespaces are not permitted.
func New(t testing.TB, hosts ...lab.HostSpec) *lab.Lab {
	t.Helper()
	l, err := lab.New(lab.Spec{Hosts: hosts})
	if errors.Is(err, lab.ErrNotPermitted) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// Host describes a host with one address, such as "10.0.0.1/24".
func Host(name, address string) lab.HostSpec {
	return lab.HostSpec{Name: name, Addresses: []netip.Prefix{netip.MustParsePrefix(address)}}
}
