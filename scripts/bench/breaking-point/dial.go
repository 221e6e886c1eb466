package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A dialed is a connection of TLS whose handshake is over, or has failed.
type dialed struct {
	place   int // of the generator's connections
	era     uint32
	fd      int // the receiver's
	records *records
	err     error
}

// clientConfig is that of a client that believes any certificate, and agrees on what
// both systems choose.
func clientConfig() *tls.Config {
	return &tls.Config{
		InsecureSkipVerify: true, ServerName: "bench", MinVersion: tls.VersionTLS13,
		CurvePreferences: []tls.CurveID{tls.X25519}, SessionTicketsDisabled: true,
	}
}

// dialTLS connects, makes a handshake, and returns a descriptor that is not the
// runtime's, with the keys.
func dialTLS(ctx context.Context, client [4]byte, address string) (fd int, r *records, err error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: client[:]}, Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		})
		return errors.Join(err, failed)
	}}
	raw, err := dialer.DialContext(ctx, "tcp4", address)
	if err != nil {
		return -1, nil, err
	}
	defer raw.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := raw.SetDeadline(deadline); err != nil {
			return -1, nil, fmt.Errorf("set a deadline: %w", err)
		}
	}
	var secrets secretLog
	config := clientConfig()
	config.KeyLogWriter = &secrets
	c := tls.Client(&recordConn{Conn: raw}, config)
	if err := c.HandshakeContext(ctx); err != nil {
		return -1, nil, err
	}
	if suite := c.ConnectionState().CipherSuite; suite != tls.TLS_AES_128_GCM_SHA256 {
		return -1, nil, fmt.Errorf("it agreed on %s: want TLS_AES_128_GCM_SHA256", tls.CipherSuiteName(suite))
	}
	if r, err = newRecords(secrets.client, secrets.server); err != nil {
		return -1, nil, err
	}
	fd, err = duplicate(raw.(*net.TCPConn))
	return fd, r, err
}

// duplicate returns another descriptor of the connection, which does not block.
func duplicate(c *net.TCPConn) (fd int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, fmt.Errorf("take a descriptor over: %w", err)
	}
	var failed error
	err = raw.Control(func(of uintptr) { fd, failed = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0) })
	if err := errors.Join(err, failed); err != nil {
		return -1, fmt.Errorf("take a descriptor over: %w", err)
	}
	return fd, nil
}

// secretLog takes the traffic secrets out of a key log, which has a line for each.
type secretLog struct{ client, server []byte }

// Write takes a line in.
func (s *secretLog) Write(line []byte) (int, error) {
	words := strings.Fields(string(line))
	if len(words) == 3 {
		secret, err := hex.DecodeString(words[2])
		if err != nil {
			return 0, fmt.Errorf("parse a secret: %w", err)
		}
		switch words[0] {
		case "CLIENT_TRAFFIC_SECRET_0":
			s.client = secret
		case "SERVER_TRAFFIC_SECRET_0":
			s.server = secret
		}
	}
	return len(line), nil
}

// A recordConn never reads beyond the end of a record: what follows the handshake is
// for another reader.
type recordConn struct {
	net.Conn
	head bytes.Buffer // what is left of a record's head
	body int          // what is left of its body
}

// Read reads from within one record.
func (c *recordConn) Read(p []byte) (int, error) {
	if c.body == 0 && c.head.Len() == 0 {
		var head [recordHead]byte
		for have := 0; have < len(head); {
			n, err := c.Conn.Read(head[have:])
			if err != nil {
				return 0, err
			}
			have += n
		}
		c.head.Write(head[:])
		c.body = int(binary.BigEndian.Uint16(head[3:]))
	}
	if c.head.Len() > 0 {
		return c.head.Read(p)
	}
	n, err := c.Conn.Read(p[:min(len(p), c.body)])
	c.body -= n
	return n, err
}

// dialKind says what became of a request for which a handshake failed.
func dialKind(err error) string {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE):
		return reset
	case errors.Is(err, syscall.ECONNREFUSED):
		return refused
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
		return timedOut
	}
	return ended
}

// dialGrace is how much longer a dial may take than its client waits.
const dialGrace = time.Second
