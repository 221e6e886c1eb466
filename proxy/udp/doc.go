// Package udp carries datagrams between clients and servers, client by client. It runs
// on the loops of package reactor.
//
// A client is an address and port, together with the address of ours that it sends to.
// What it sends goes to one server for as long as its session lasts, through a socket
// that is connected to that server: so nobody else's datagrams come back, and the kernel
// tells when the server refuses. A session ends after a silence.
package udp
