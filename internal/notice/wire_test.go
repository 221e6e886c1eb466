package notice

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFrames(t *testing.T) {
	full := hello{Boot: bootID{1}, Nonce: [32]byte{2}, Keyed: true, Node: "lb1"}
	body := func(h hello) string { return string(h.encode()[headerSize:]) }
	for name, tc := range map[string]struct {
		wire string
		want string // of the error
	}{
		"hello":              {string(full.encode()), ""},
		"hello, bare":        {string(hello{}.encode()), ""},
		"proof":              {"TDN\x01\x02\x20" + strings.Repeat("m", 32), ""},
		"goodbye":            {"TDN\x01\x03\x24" + strings.Repeat("m", 32) + "stop", ""},
		"nothing":            {"", "EOF"},
		"half a header":      {"TDN", "unexpected EOF"},
		"half a body":        {"TDN\x01\x02\x20mm", "unexpected EOF"},
		"no body":            {"TDN\x01\x02\x20", "unexpected EOF"},
		"another program":    {"GET / HTTP/1.1\r\n\r\n", `read frame: "GET / " is not the beginning of one`},
		"another version":    {"TDN\x02\x01\x00", "read frame: version 2, want 1 (hint: run the same release on both nodes)"},
		"unknown type":       {"TDN\x01\x09\x00", "read frame: type 9 with 0 bytes"},
		"too long":           {"TDN\x01\x02\x21" + strings.Repeat("m", 33), "read frame: type 2 with 33 bytes"},
		"hello is too short": {"TDN\x01\x01\x30" + body(full)[:48], "parse hello: 48 bytes are fewer than 49"},
		"unknown flags":      {string(encodeFrame(frameHello, []byte(body(hello{})[:48]+"\x04"))), "parse hello: unknown flags 0x04"},
	} {
		t.Run(name, func(t *testing.T) {
			kind, body, err := readFrame(strings.NewReader(tc.wire))
			if err == nil && kind == frameHello {
				_, err = parseHello(body)
			}
			if got := text(err); got != tc.want {
				t.Fatalf("got error %q, want %q", got, tc.want)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestNamesAreCutToTheFrame(t *testing.T) {
	_, body, err := readFrame(bytes.NewReader(hello{Node: strings.Repeat("x", 300)}.encode()))
	if err != nil {
		t.Fatal(err)
	}
	if h, err := parseHello(body); err != nil || h.Node != strings.Repeat("x", maxText) {
		t.Errorf("got %q, %v", h.Node, err)
	}
}

// TestEveryStatementHasAProofOfItsOwn changes one thing at a time.
func TestEveryStatementHasAProofOfItsOwn(t *testing.T) {
	a, b := hello{Boot: bootID{1}, Keyed: true, Node: "a"}, hello{Boot: bootID{2}, Keyed: true, Node: "b"}
	fresh := a
	fresh.Nonce[31] = 1
	renamed := b
	renamed.Node = "c"
	key := []byte("key")
	said := transcript{a, b}
	mac := said.mac(key, labelGoodbye, "stop")
	if !said.proves(mac[:], key, labelGoodbye, "stop") {
		t.Fatal("the proof is not accepted")
	}
	for name, got := range map[string]bool{
		"another key":               said.proves(mac[:], []byte("kez"), labelGoodbye, "stop"),
		"another role":              said.proves(mac[:], key, labelDialer, "stop"),
		"another text":              said.proves(mac[:], key, labelGoodbye, "stop!"),
		"another nonce":             transcript{fresh, b}.proves(mac[:], key, labelGoodbye, "stop"),
		"another name":              transcript{a, renamed}.proves(mac[:], key, labelGoodbye, "stop"),
		"the conversation reversed": transcript{b, a}.proves(mac[:], key, labelGoodbye, "stop"),
		"a part of it":              said.proves(mac[:31], key, labelGoodbye, "stop"),
		"none":                      said.proves(make([]byte, macSize), key, labelGoodbye, "stop"),
	} {
		if got {
			t.Errorf("%s: the proof is accepted", name)
		}
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add(hello{Boot: bootID{1}, Keyed: true, Node: "lb1"}.encode())
	f.Add(encodeFrame(frameGoodbye, make([]byte, macSize+4)))
	f.Add([]byte("TDN\x01\x01\x30"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		kind, body, err := readFrame(r)
		if err != nil {
			var rejected rejection
			if !errors.As(err, &rejected) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		used := b[:len(b)-r.Len()]
		if diff := cmp.Diff(used, encodeFrame(kind, body)); diff != "" {
			t.Fatalf("written again (-want +got)\n%s", diff)
		}
		if kind != frameHello {
			return
		}
		if h, err := parseHello(body); err == nil {
			if diff := cmp.Diff(used, h.encode()); diff != "" {
				t.Fatalf("hello written again (-want +got)\n%s", diff)
			}
		}
	})
}
