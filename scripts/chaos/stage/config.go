package stage

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/tandemlb/tandem/internal/lab"
	"github.com/tandemlb/tandem/scripts/chaos/load"
	"github.com/tandemlb/tandem/scripts/chaos/plan"
)

// What the pair is told to keep.
const (
	Advertise = 100 * time.Millisecond
	Lease     = 2 * time.Second
)

// VIP is the address that the pair shares.
func VIP() netip.Addr { return netip.MustParseAddr("10.77.0.100") }

// The hosts beside the nodes and the servers.
const (
	client = "client" // the third host, whose neighbour entry is looked at
	rogue  = "rogue"  // asks who has the address, and sends what is malformed
)

// proxiedPort expects the header of the PROXY protocol.
const proxiedPort = 81

func hosts() []lab.HostSpec {
	var all []lab.HostSpec
	for name, address := range map[string]string{
		plan.LB1: "10.77.0.1/24", plan.LB2: "10.77.0.2/24", "s1": "10.77.0.11/24", "s2": "10.77.0.12/24",
		"s3": "10.77.0.13/24", client: "10.77.0.50/24", rogue: "10.77.0.66/24",
	} {
		all = append(all, lab.HostSpec{Name: name, Addresses: []netip.Prefix{netip.MustParsePrefix(address)}})
	}
	return all
}

// addressOf returns the address of a server or node by name.
func addressOf(name string) netip.Addr {
	for _, h := range hosts() {
		if h.Name == name {
			return h.Addresses[0].Addr()
		}
	}
	panic("chaos: no host " + name)
}

// config is a good config. All that a variant changes may change under traffic.
func (s *Stage) config(variant int) string {
	balance, extra := "round_robin", ""
	if variant%2 == 1 {
		balance = "least_connections"
	}
	if variant%3 == 1 {
		extra = `  extra: {bind: ":8090", pool: web}` + "\n"
	}
	return fmt.Sprintf(`nodes: {lb1: 10.77.0.1, lb2: 10.77.0.2}
cluster: {key_file: %[1]s/cluster.key}
vips:
  main: {addresses: [%[2]s/24], advertise: %[3]v, lease: %[4]v, preempt: 1s}
listeners:
  web: {bind: ":%[5]d", pool: web}
  safe: {bind: ":%[6]d", pool: web, tls: {cert: %[1]s/cert.pem, key: %[1]s/key.pem}}
  proxied: {bind: ":%[9]d", pool: web, proxy_protocol: [10.77.0.0/24]}
  echo: {bind: ":%[7]d", protocol: tcp, pool: echo}
  datagrams: {bind: ":%[8]d", protocol: udp, pool: datagrams, timeouts: {idle: 5s}}
%[11]spools:
  web:
    servers: [10.77.0.11:8080, 10.77.0.12:8080, 10.77.0.13:8080]
    balance: %[10]s
    check: {http: GET /healthz, every: 500ms, timeout: 500ms}
    timeouts: {response: 1s, idle: 2s}
  echo:
    servers: [10.77.0.11:%[7]d, 10.77.0.12:%[7]d, 10.77.0.13:%[7]d]
    balance: %[10]s
    check: {tcp: true, every: 500ms, timeout: 500ms}
  datagrams:
    servers: [10.77.0.11:%[8]d, 10.77.0.12:%[8]d, 10.77.0.13:%[8]d]
metrics: {listen: 127.0.0.1:%[12]d}
log: {level: info, access: false}
`, s.Dir, VIP(), Advertise, Lease, load.HTTPPort, load.TLSPort, load.TCPPort, load.UDPPort, proxiedPort, balance, extra, metricsPort)
}

// badConfig must be refused; each variant for another reason.
func (s *Stage) badConfig(variant int) string {
	good := s.config(0)
	switch variant % 5 {
	case 0:
		return good + "nonsense: true\n"
	case 1:
		return good[:len(good)/2]
	case 2:
		return good + "\tx: [\n"
	case 3:
		return good + "admin: {listen: 203.0.113.1:8404}\n" // an address that no node has
	}
	return ""
}

// writeSecrets writes the cluster's key and a certificate.
func writeSecrets(dir string) error {
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return fmt.Errorf("make the cluster's key: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "chaos"}, DNSNames: []string{"chaos"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return fmt.Errorf("make a certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode a key: %w", err)
	}
	file := func(name string, text []byte) error { return os.WriteFile(filepath.Join(dir, name), text, 0o600) }
	return errors.Join(
		file("cluster.key", []byte(base64.StdEncoding.EncodeToString(secret)+"\n")),
		file("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		file("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}
