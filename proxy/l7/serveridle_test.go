package l7

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tandemlb/tandem/proxy"
	"github.com/tandemlb/tandem/proxy/backend"
	"github.com/tandemlb/tandem/proxy/upstream"
)

func TestSessionsAreResumedWithServers(t *testing.T) {
	tr := newTrust(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			config := tr.server(t, "127.0.0.1")
			config.MaxVersion = version
			address := secureServer(t, config, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.TLS.DidResume) })
			r := startSecure(t, tr, newPool(t, with(t, func(p *proxy.Pool) { p.Limits.Idle = 0 }, address), nil))
			for i, want := range []string{"200 false", "200 true", "200 true"} {
				if got := r.ask(t, ""); got != want {
					t.Errorf("request %d: resumed: %s, want %s", i, got, want)
				}
			}
		})
	}
}

// A reload that changes what a pool shows to its servers closes what waits, lets what
// is in use go on, and uses nothing of before again.
func TestConnectionsAreOfOneIdentity(t *testing.T) {
	tr := newTrust(t).shows()
	config := tr.server(t, "127.0.0.1")
	config.ClientAuth = tls.RequireAnyClientCert
	held, release := make(chan bool, 1), make(chan bool, 1)
	var open atomic.Int64
	address := rawSecureServer(t, config, func(c *tls.Conn, r *bufio.Reader) {
		open.Add(1)
		defer open.Add(-1)
		for {
			head, err := readHead(r)
			if err != nil {
				return
			}
			if strings.Contains(head, "/held") {
				held <- true
				<-release
			}
			who := c.ConnectionState().PeerCertificates[0].SerialNumber.String() + c.RemoteAddr().String()
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(who), who)
		}
	})
	p := pool(t, address)
	identity := tr.identity(t)
	r := startWith(t, generous(), p)
	r.use(t, backend.New(r.engine.reactor.Loops(), p, nil, backend.Options{Identity: identity}))
	busy, waiting := r.dial(t), r.dial(t)
	busy.send(t, "GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
	<-held
	ask := func() string {
		waiting.send(t, get1)
		return body(t, waiting.response(t, http.MethodGet))
	}
	before := ask()
	if again := ask(); again != before {
		t.Errorf("%q and %q without a change", before, again)
	}
	old := r.config.Backends["web"]
	if same := backend.New(r.engine.reactor.Loops(), p, old, backend.Options{Identity: identity}); same != old {
		t.Error("a reload without a change has made another backend")
	}

	renewed := newTrust(t).trusting(tr).shows()
	next := backend.New(r.engine.reactor.Loops(), p, old, backend.Options{Identity: renewed.identity(t)})
	r.use(t, next)
	old.Retire(next)
	eventually(t, func() bool { return open.Load() == 1 }) // that which is in use
	if after := ask(); after[:8] == before[:8] {
		t.Errorf("%q before and %q after the change", before, after)
	}
	release <- true
	if got := body(t, busy.response(t, http.MethodGet)); got[:8] != before[:8] {
		t.Errorf("what was in use has ended as %q, and began as %q", got, before)
	}
	eventually(t, func() bool { return open.Load() == 1 }) // that of the new one
	next.Retire(nil)
	eventually(t, func() bool { return open.Load() == 0 })
}

// sealed is a server's side of TLS 1.3 that writes its records itself, so that it can
// send what crypto/tls sends at the beginning only.
type sealed struct {
	*tls.Conn
	raw  net.Conn
	aead cipher.AEAD
	iv   []byte
	n    uint64 // of records
}

// keylog takes the secret that the server writes application data with.
type keylog chan []byte

func (k keylog) Write(line []byte) (int, error) {
	if f := strings.Fields(string(line)); f[0] == "SERVER_TRAFFIC_SECRET_0" {
		secret, err := hex.DecodeString(f[2])
		if err != nil {
			return 0, err
		}
		k <- secret
	}
	return len(line), nil
}

// seal takes the writing over from crypto/tls, which has sent no record of application
// data yet.
func seal(t *testing.T, raw net.Conn, c *tls.Conn, secret []byte) *sealed {
	if suite := c.ConnectionState().CipherSuite; suite != tls.TLS_AES_128_GCM_SHA256 {
		t.Errorf("cipher suite %s", tls.CipherSuiteName(suite))
	}
	expand := func(label string, n int) []byte {
		info := binary.BigEndian.AppendUint16(nil, uint16(n))
		info = append(info, byte(len("tls13 "+label)))
		info = append(info, "tls13 "+label...)
		key, err := hkdf.Expand(sha256.New, secret, string(append(info, 0)), n)
		if err != nil {
			t.Error(err)
		}
		return key
	}
	block, err := aes.NewCipher(expand("key", 16))
	if err != nil {
		t.Error(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Error(err)
	}
	return &sealed{Conn: c, raw: raw, aead: aead, iv: expand("iv", 12)}
}

const (
	ofHandshake = 22
	ofData      = 23
)

// send sends one record.
func (s *sealed) send(kind byte, text string) {
	inner := append([]byte(text), kind)
	head := binary.BigEndian.AppendUint16([]byte{23, 3, 3}, uint16(len(inner)+s.aead.Overhead()))
	nonce := append([]byte(nil), s.iv...)
	for i := range 8 {
		nonce[4+i] ^= byte(s.n >> (56 - 8*i))
	}
	s.n++
	s.raw.Write(s.aead.Seal(head, nonce, inner, head)) // an error shows at the other end
}

// ticket is a NewSessionTicket of TLS 1.3.
func ticket() string {
	body := "\x00\x00\x0e\x10" + "\x00\x00\x00\x01" + "\x01\x00" + "\x00\x08a ticket" + "\x00\x00"
	return "\x04\x00\x00" + string(rune(len(body))) + body
}

// Over TLS 1.3 a server may send messages of TLS at any time, also on a connection that
// waits for a request. They are none of ours, and no reason to give it up.
func TestMessagesOfTLSAreNoAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		records []string // by kind, after each answer
		kind    byte
		kept    bool
	}{
		"a ticket":     {[]string{ticket()}, ofHandshake, true},
		"two tickets":  {[]string{ticket(), ticket()}, ofHandshake, true},
		"an answer":    {[]string{fine}, ofData, false},
		"nothing":      {nil, ofData, true},
		"an empty one": {[]string{""}, ofData, true},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTrust(t)
			secrets := make(keylog, 10)
			config := tr.server(t, "127.0.0.1")
			config.MinVersion, config.SessionTicketsDisabled, config.KeyLogWriter = tls.VersionTLS13, true, secrets
			answered, sendMore, sent := make(chan bool, 1), make(chan bool), make(chan bool)
			address := rawServer(t, func(raw *net.TCPConn, r *bufio.Reader) {
				c := tls.Server(raw, config)
				if c.Handshake() != nil {
					return
				}
				s := seal(t, raw, c, <-secrets)
				in := bufio.NewReader(c)
				for {
					if _, err := readHead(in); err != nil {
						return
					}
					who := raw.RemoteAddr().String()
					s.send(ofData, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(who), who))
					answered <- true
					<-sendMore
					for _, record := range tt.records {
						s.send(tt.kind, record)
					}
					sent <- true
				}
			})
			r := startSecure(t, tr, pool(t, address))
			c := r.dial(t)
			ask := func() string {
				c.send(t, get1)
				got := body(t, c.response(t, http.MethodGet))
				<-answered
				sendMore <- true
				<-sent
				return got
			}
			first := ask()
			if !tt.kept {
				eventually(t, func() bool { return r.server(0).Failed > 0 })
			}
			second, third := ask(), ask()
			if (first == second && second == third) != tt.kept {
				t.Errorf("connections %s, %s, %s; want that it is kept: %v", first, second, third, tt.kept)
			}
			if st := r.server(0); st.Health != upstream.Up || (st.Failed == 0) != tt.kept {
				t.Errorf("the server is %v after %d failures", st.Health, st.Failed)
			}
		})
	}
}
