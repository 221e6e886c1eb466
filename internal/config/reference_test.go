package config_test

import (
	"net/netip"
	"os"
	"reflect"
	"slices"
	"testing"
)

// unset are the values that the file does not set, and those that the reference shows
// with a default of zero, since they do not go with others.
var unset = []string{
	"Config.Proxy.Pools.Servers.State", "Config.VIPs.Owner",
	"Config.VIPs.Checksum", "Config.VIPs.Unicast", "Config.VIPs.VirtualMAC",
}

// TestTheReferenceSetsEveryValue finds what the code knows and the manual does not
// show: a value that the reference leaves at zero wherever it stands.
func TestTheReferenceSetsEveryValue(t *testing.T) {
	src, err := os.ReadFile("testdata/reference.yaml")
	if err != nil {
		t.Fatal(err)
	}
	set := make(map[string]bool)
	collect(reflect.ValueOf(*parse(t, string(src))), "Config", set)
	for path, ok := range set {
		if !ok && !slices.Contains(unset, path) {
			t.Errorf("the reference never sets %s", path)
		}
	}
}

// collect notes for each field below v whether it has a value other than zero
// anywhere.
func collect(v reflect.Value, path string, set map[string]bool) {
	set[path] = set[path] || !v.IsZero()
	switch v.Type() {
	case reflect.TypeFor[netip.Addr](), reflect.TypeFor[netip.AddrPort](), reflect.TypeFor[netip.Prefix]():
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			collect(v.Elem(), path, set)
		}
	case reflect.Slice:
		for i := range v.Len() {
			collect(v.Index(i), path, set)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			collect(v.Field(i), path+"."+v.Type().Field(i).Name, set)
		}
	}
}
