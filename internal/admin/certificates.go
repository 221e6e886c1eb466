package admin

import "time"

// Certificates are the files of TLS that the config names.
type Certificates struct {
	List []Certificate `json:"list,omitempty"` // in the order of the config
	// Revoked are the lists of revoked certificates that clients are judged by.
	Revoked []RevokedList `json:"revoked,omitempty"`
	// Problems say which changed files are not in use, and why.
	Problems []FilesProblem `json:"problems,omitempty"`
	// Warnings are of files in use, those of certificates as well.
	Warnings []string `json:"warnings,omitempty"`
	Reloads  uint64   `json:"reloads"` // changed files that were taken up, since the process started
	Errors   uint64   `json:"errors"`  // changed files that were not, since they were bad
}

// Certificate is one that the node shows.
type Certificate struct {
	Listener    string    `json:"listener,omitempty"` // to whose clients it is shown; empty: to servers
	Pool        string    `json:"pool,omitempty"`     // to whose servers it is shown
	Path        string    `json:"path"`
	Subject     string    `json:"subject"`
	Names       []string  `json:"names"` // that it is good for
	NotBefore   time.Time `json:"notBefore"`
	NotAfter    time.Time `json:"notAfter"`
	Issuer      string    `json:"issuer"`
	Serial      string    `json:"serial"` // in hexadecimal
	Key         string    `json:"key"`    // such as "ECDSA P-256"
	Fingerprint string    `json:"sha256"` // of the certificate, in hexadecimal
	Warnings    []string  `json:"warnings,omitempty"`
}

// RevokedList is a list of revoked certificates, by which a listener judges its clients.
type RevokedList struct {
	Listener string    `json:"listener"`
	Path     string    `json:"path"`
	Issuer   string    `json:"issuer"`
	Revoked  int       `json:"revoked"`       // how many are in it
	Next     time.Time `json:"next,omitzero"` // when another one is due; zero: it does not say
}

// FilesProblem is why changed files that belong together are not in use. What was
// there before is.
type FilesProblem struct {
	Paths []string  `json:"paths"`
	Error string    `json:"error"`
	Since time.Time `json:"since"`
}
