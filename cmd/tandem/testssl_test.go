package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tandemlb/tandem/proxy/secure/securetest"
)

// TestTestsslFindsNothing has testssl.sh look for what is wrong with the TLS of a node:
// protocols, ciphers, certificates and known attacks.
func TestTestsslFindsNothing(t *testing.T) {
	program, err := exec.LookPath("testssl")
	if err != nil {
		t.Skip("testssl is not installed (Debian: apt-get install testssl.sh)")
	}
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	files := newShelf(t)
	leaf := securetest.Leaf{Names: []string{"localhost", "127.0.0.1"}, NotAfter: time.Now().Add(90 * 24 * time.Hour), ListAt: "http://127.0.0.1:9/list"}
	ecdsa := files.issue("ecdsa.pem", leaf)
	leaf.RSA = 2048
	rsa, ca := files.issue("rsa.pem", leaf), files.put("ca.pem", files.ca.PEM())
	secured := reservePort(t)
	runSingle(t, func(address string) string {
		return fmt.Sprintf("listeners: {alive: {bind: %q, routes: {respond: 200}}, shop: {bind: %q, tls: {certificates: [%s, %s]}, routes: {respond: 200}}}\n",
			address, secured, ecdsa, rsa)
	})

	found := filepath.Join(t.TempDir(), "found.json")
	_, port, _ := net.SplitHostPort(secured)
	cmd := exec.Command(program, "--quiet", "--color", "0", "--warnings", "off", "--sneaky", "--nodns", "none", "--ip", "127.0.0.1",
		"--add-ca", ca, "--jsonfile", found, "-p", "-s", "-f", "-P", "-S", "-U", "localhost:"+port)
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput() // its status counts what it could not look at
	t.Logf("%s (%v)", out, err)
	text, err := os.ReadFile(found)
	if err != nil {
		t.Fatal(err)
	}
	type finding struct{ ID, Severity, Finding string }
	var all []finding
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatalf("what it has found: %v", err)
	}
	// Else it has looked at nothing.
	for _, id := range []string{"TLS1_2", "TLS1_3", "heartbleed", "LUCKY13", "cert_chain_of_trust"} {
		if !slices.ContainsFunc(all, func(f finding) bool {
			return (f.ID == id || len(f.ID) > len(id) && f.ID[:len(id)+1] == id+" ") && f.Severity == "OK"
		}) {
			t.Errorf("it does not say that %s is good", id)
		}
	}
	for _, f := range all {
		if f.Severity == "HIGH" || f.Severity == "CRITICAL" || f.Severity == "FATAL" {
			t.Errorf("%s: %s: %s", f.Severity, f.ID, f.Finding)
		}
	}
}
