package main

import "github.com/tandemlb/tandem/internal/admin"

// target is the node that a command asks.
type target struct {
	Socket    string `placeholder:"PATH|URL" default:"${socket}" help:"Admin socket of the node, or the URL of its admin.listen."`
	TokenFile string `placeholder:"FILE" env:"TANDEM_TOKEN_FILE" help:"With a URL: the file with the node's token."`
	CA        string `name:"ca" placeholder:"FILE" env:"TANDEM_CA" help:"With a URL: the CA of the node's certificate. Default: those of the host."`
}

func (t target) client() (*admin.Client, error) {
	return admin.Target(t.Socket, admin.Credentials{TokenFile: t.TokenFile, CA: t.CA})
}
