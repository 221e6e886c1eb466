package internal_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/internal/config"
)

// block returns the first block of a language in a page of the manual.
func block(t *testing.T, page, language string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, "\n```"+language+"\n")
	text, _, ended := strings.Cut(rest, "\n```\n")
	if !ok || !ended {
		t.Fatalf("there is no block of %s", language)
	}
	return text + "\n"
}

// What the manual shows side by side is accepted by the program that it is for.
func TestTheSameServiceIsAcceptedByAllThree(t *testing.T) {
	page := manual(t, "migration.md")
	if _, err := config.Parse("tandem.yaml", []byte(block(t, page, "yaml"))); err != nil {
		t.Errorf("Tandem refuses its part: %v", err)
	}
	dir := t.TempDir()
	t.Run("keepalived", func(t *testing.T) {
		file := write(t, dir, "keepalived.conf", block(t, page, "keepalived"))
		judge(t, "keepalived", "--config-test="+filepath.Join(dir, "said"), "--use-file="+file)
		said, err := os.ReadFile(filepath.Join(dir, "said"))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		// Which interfaces this host has is another matter.
		for line := range strings.Lines(string(said)) {
			if strings.Contains(line, "Unknown keyword") {
				t.Error(line)
			}
		}
	})
	t.Run("haproxy", func(t *testing.T) {
		bundle, ca := certificateFiles(t, dir)
		text := strings.NewReplacer("/etc/haproxy/shop.pem", bundle, "/etc/haproxy/internal-ca.pem", ca).Replace(block(t, page, "haproxy"))
		judge(t, "haproxy", "-c", "-f", write(t, dir, "haproxy.cfg", text))
	})
}

// judge has a program check its config, where it is there. How keepalived ends says
// nothing: it minds what this host lacks.
func judge(t *testing.T, program string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + program)
	}
	if err != nil {
		t.Skipf("%s is not here", program)
	}
	said, err := exec.Command(path, args...).CombinedOutput()
	if err != nil && program != "keepalived" {
		t.Errorf("%s: %v\n%s", program, err, said)
	}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// certificateFiles makes a certificate that signs itself: with its key, and without.
func certificateFiles(t *testing.T, dir string) (bundle, ca string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"shop.example.com"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	ca = write(t, dir, "ca.pem", cert)
	return write(t, dir, "bundle.pem", cert+string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))), ca
}
