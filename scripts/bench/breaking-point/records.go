package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// records are the two directions of a TLS 1.3 connection whose handshake is over, with
// TLS_AES_128_GCM_SHA256. They let thousands of connections be driven by one loop.
type records struct {
	in, out       cipher.AEAD
	inIV          [12]byte
	outIV         [12]byte
	inN, outN     uint64
	plain, sealed []byte // buffers
}

const (
	recordHead      = 5
	recordMost      = 16<<10 + 256
	typeAlert       = 21
	typeHandshake   = 22
	typeApplication = 23
)

var errRecord = errors.New("malformed TLS record")

// newRecords derives the keys from the traffic secrets of client and server.
func newRecords(client, server []byte) (*records, error) {
	r := &records{}
	var err error
	if r.out, r.outIV, err = trafficKey(client); err != nil {
		return nil, err
	}
	r.in, r.inIV, err = trafficKey(server)
	return r, err
}

// trafficKey is RFC 8446, section 7.3.
func trafficKey(secret []byte) (aead cipher.AEAD, iv [12]byte, err error) {
	key, err := expandLabel(secret, "key", 16)
	if err != nil {
		return nil, iv, err
	}
	text, err := expandLabel(secret, "iv", len(iv))
	if err != nil {
		return nil, iv, err
	}
	copy(iv[:], text)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, iv, fmt.Errorf("make a cipher: %w", err)
	}
	aead, err = cipher.NewGCM(block)
	return aead, iv, err
}

// expandLabel is HKDF-Expand-Label of RFC 8446, section 7.1, without a context.
func expandLabel(secret []byte, label string, length int) ([]byte, error) {
	info := binary.BigEndian.AppendUint16(nil, uint16(length))
	info = append(info, byte(len("tls13 ")+len(label)))
	info = append(info, "tls13 "+label...)
	info = append(info, 0)
	key, err := hkdf.Expand(sha256.New, secret, string(info), length)
	if err != nil {
		return nil, fmt.Errorf("derive a key: %w", err)
	}
	return key, nil
}

// nonce is RFC 8446, section 5.3.
func nonce(iv [12]byte, n uint64) []byte {
	binary.BigEndian.PutUint64(iv[4:], binary.BigEndian.Uint64(iv[4:])^n)
	return iv[:]
}

// seal returns text as a record, valid until the next call.
func (r *records) seal(text []byte) []byte {
	r.plain = append(append(r.plain[:0], text...), typeApplication)
	r.sealed = append(r.sealed[:0], typeApplication, 3, 3)
	r.sealed = binary.BigEndian.AppendUint16(r.sealed, uint16(len(r.plain)+r.out.Overhead()))
	r.sealed = r.out.Seal(r.sealed, nonce(r.outIV, r.outN), r.plain, r.sealed[:recordHead])
	r.outN++
	return r.sealed
}

// open decrypts the record that data begins with, and returns how long it is; 0 when
// it is not whole. text is what of it is for the application.
func (r *records) open(data []byte) (used int, text []byte, err error) {
	if len(data) < recordHead {
		return 0, nil, nil
	}
	length := int(binary.BigEndian.Uint16(data[3:]))
	if length > recordMost || data[0] != typeApplication {
		return 0, nil, errRecord
	}
	if len(data) < recordHead+length {
		return 0, nil, nil
	}
	plain, err := r.in.Open(r.plain[:0], nonce(r.inIV, r.inN), data[recordHead:recordHead+length], data[:recordHead])
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", errRecord, err)
	}
	r.inN++
	r.plain = plain
	end := len(plain)
	for end > 0 && plain[end-1] == 0 {
		end--
	}
	if end == 0 {
		return 0, nil, errRecord
	}
	switch plain[end-1] {
	case typeApplication:
		return recordHead + length, plain[:end-1], nil
	case typeHandshake: // tickets
		return recordHead + length, nil, nil
	case typeAlert: // the end follows
		return recordHead + length, nil, nil
	}
	return 0, nil, errRecord
}
