package proxy

// ListenerTLS says how a listener terminates TLS. Files are named by their paths; what
// is in them is handed over beside the Spec, see [Files].
type ListenerTLS struct {
	// Certificates are chosen by the name that the client asks for (SNI), an exact name
	// before a wildcard; the first is for clients that ask for none, or for one that
	// none of them has. At least one.
	Certificates []Certificate
	MinVersion   TLSVersion
	// ALPN are the protocols that are offered, in the order of preference. Of HTTP they
	// are not for the config to say.
	ALPN []string `json:",omitempty"`

	ClientAuth ClientAuth
	ClientCA   string // bundle that clients' certificates are verified with; empty without ClientAuth
	ClientCRL  string // revocation lists of those CAs; empty: none is looked at
}

// Certificate names the files of a chain and of its private key, both in PEM. They may
// be the same.
type Certificate struct{ Cert, Key string }

// TLSVersion is a version of TLS.
type TLSVersion string

// The versions.
const (
	TLS12 TLSVersion = "1.2"
	TLS13 TLSVersion = "1.3"
)

// ClientAuth says whether clients show a certificate.
type ClientAuth string

// The ways.
const (
	ClientAuthNone     ClientAuth = ""         // they are not asked
	ClientAuthOptional ClientAuth = "optional" // they are asked, and may have none; a bad one is refused
	ClientAuthRequire  ClientAuth = "require"
)

// PoolTLS says how the servers of a pool are spoken to over TLS.
type PoolTLS struct {
	CA         string // bundle that servers' certificates are verified with; empty: that of the host
	ServerName string // that is asked for (SNI), and that the certificate is to have; empty: the server's host or address
	Cert, Key  string // what this side shows; empty: nothing
	MinVersion TLSVersion
	Insecure   bool // whatever the servers show is accepted
}

// Files are the contents of the files that a Spec names, by path.
type Files map[string][]byte
