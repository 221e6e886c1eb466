package faulty

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nAnswers: a1\r\nContent-Length: 5\r\n\r\n"

func TestAnswers(t *testing.T) {
	const whole = head + "hello"
	for _, test := range []struct {
		fault Fault
		want  answer
	}{
		{Fault{}, answer{text: []byte(whole)}},
		{Fault{Kind: ResetAt}, answer{text: []byte(""), then: abort}},
		{Fault{Kind: ResetAt, Bytes: 9}, answer{text: []byte("HTTP/1.1 "), then: abort}},
		{Fault{Kind: ResetAt, Bytes: 1000}, answer{text: []byte(whole), then: abort}},
		{Fault{Kind: CloseAt, Bytes: len(head) + 1}, answer{text: []byte(head + "h"), then: end}},
		{Fault{Kind: StallHead}, answer{then: stall}},
		{Fault{Kind: StallBody, Bytes: 2}, answer{text: []byte(head + "he"), then: stall}},
		{Fault{Kind: Slow, Rate: 7}, answer{text: []byte(whole), rate: 7}},
		{Fault{Kind: Slow}, answer{text: []byte(whole), rate: 1}},
		{Fault{Kind: Status, Status: 503}, answer{text: []byte(strings.Replace(whole, "200 OK", "503 Service Unavailable", 1))}},
		{Fault{Kind: LongBody, Bytes: 3}, answer{text: []byte(whole + "\x00\x00\x00")}},
		{Fault{Kind: ShortBody, Bytes: 4}, answer{text: []byte(strings.Replace(whole, ": 5", ": 9", 1)), then: end}},
		{Fault{Kind: Double}, answer{text: []byte(whole + whole)}},
		{Fault{Kind: Garbage}, answer{text: []byte(garbage), then: end}},
	} {
		t.Run(test.fault.String(), func(t *testing.T) {
			got := test.fault.answerTo("a1", http.MethodGet, "hello")
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(answer{})); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

// What is said to be no whole answer is none to a client that knows HTTP.
func TestBrokenAnswersAreBroken(t *testing.T) {
	for _, f := range []Fault{
		{Kind: ResetAt, Bytes: 20}, {Kind: CloseAt, Bytes: len(head) + 2}, {Kind: ShortBody, Bytes: 1},
		{Kind: Garbage}, {Kind: BadChunks}, {Kind: OpenChunks},
	} {
		t.Run(f.String(), func(t *testing.T) {
			r := bufio.NewReader(bytes.NewReader(f.answerTo("a1", http.MethodGet, "hello").text))
			res, err := http.ReadResponse(r, nil)
			if err == nil {
				_, err = io.ReadAll(res.Body)
			}
			if err == nil {
				t.Error("a client takes it for a whole answer")
			}
		})
	}
}

func TestHeadHasNoBody(t *testing.T) {
	got := Fault{}.answerTo("a1", http.MethodHead, "hello")
	if diff := cmp.Diff(head, string(got.text)); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

func TestEveryKindDiffersFromNone(t *testing.T) {
	right := Fault{}.answerTo("a1", http.MethodGet, "hello")
	for _, k := range Kinds() {
		if k == Refuse || k == Reset {
			continue // they come before a request
		}
		got := Fault{Kind: k, Bytes: 1, Rate: 1, Status: 500}.answerTo("a1", http.MethodGet, "hello")
		if cmp.Equal(right, got, cmp.AllowUnexported(answer{})) {
			t.Errorf("%s is answered like no fault", k)
		}
	}
}

func TestHits(t *testing.T) {
	pattern := func(f Fault, n int) string {
		var b strings.Builder
		for i := range n {
			if f.hits(i) {
				b.WriteByte('x')
			} else {
				b.WriteByte('.')
			}
		}
		return b.String()
	}
	for _, test := range []struct {
		name  string
		fault Fault
		want  string
	}{
		{"no fault", Fault{Hit: 1, Of: 1}, "......"},
		{"all", Fault{Kind: Double}, "xxxxxx"},
		{"the first of three", Fault{Kind: Double, Hit: 1, Of: 3}, "x..x.."},
		{"two of two", Fault{Kind: Double, Hit: 2, Of: 2}, "xxxxxx"},
		{"none of two", Fault{Kind: Double, Hit: 0, Of: 2}, "......"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, pattern(test.fault, 6)); diff != "" {
				t.Errorf("hits (-want +got):\n%s", diff)
			}
		})
	}
	seeded := Fault{Kind: Double, Hit: 3, Of: 10, Seed: 7}
	got := pattern(seeded, 1000)
	for i := 0; i < len(got); i += seeded.Of {
		if n := strings.Count(got[i:i+seeded.Of], "x"); n != seeded.Hit {
			t.Errorf("%d of ten are hit from %d on, want 3", n, i)
		}
	}
	if got != pattern(seeded, 1000) {
		t.Error("the same seed hits others")
	}
	if got[:10] == got[10:20] && got[10:20] == got[20:30] && got[20:30] == got[30:40] {
		t.Error("a seed hits the same places of each ten")
	}
}

func TestEcho(t *testing.T) {
	for _, test := range []struct {
		fault Fault
		want  answer
	}{
		{Fault{}, answer{text: []byte("hello")}},
		{Fault{Kind: Status, Status: 500}, answer{text: []byte("hello")}},
		{Fault{Kind: ResetAt, Bytes: 2}, answer{text: []byte("he"), then: abort}},
		{Fault{Kind: CloseAt, Bytes: 2}, answer{text: []byte("he"), then: end}},
		{Fault{Kind: StallHead}, answer{then: stall}},
		{Fault{Kind: StallBody, Bytes: 1}, answer{text: []byte("h"), then: stall}},
		{Fault{Kind: Double}, answer{text: []byte("hellohello")}},
	} {
		t.Run(test.fault.String(), func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.fault.echoOf([]byte("hello")), cmp.AllowUnexported(answer{})); diff != "" {
				t.Errorf("echo (-want +got):\n%s", diff)
			}
		})
	}
}
