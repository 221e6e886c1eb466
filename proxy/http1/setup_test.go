package http1_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/proxy/http1"
)

// whole cuts nothing; bytewise cuts everywhere.
func whole(string) []int { return nil }

func bytewise(in string) []int {
	var cuts []int
	for i := range len(in) {
		cuts = append(cuts, i)
	}
	return cuts
}

// parser is a Request or a Response.
type parser interface {
	Parse(buf []byte, lim *http1.Limits) (int, error)
}

// feed gives in to p, cut into reads, each time in another buffer that holds
// nothing more. It returns the length of the head, or 0 if it is incomplete.
func feed(t *testing.T, p parser, in string, cuts []int, lim *http1.Limits) (int, error) {
	t.Helper()
	for _, k := range append(cuts, len(in)) {
		n, err := p.Parse([]byte(in[:k]), lim)
		if err == nil && n == 0 {
			continue
		}
		if err != nil && n != 0 {
			t.Errorf("Parse returns length %d beside error %v", n, err)
		}
		if n > k {
			t.Fatalf("Parse returns length %d of %d bytes", n, k)
		}
		return n, err
	}
	return 0, nil
}

// refusal tells an error in short: its status and its reason.
func refusal(t *testing.T, err error) string {
	t.Helper()
	e, ok := errors.AsType[*http1.Error](err)
	if !ok {
		t.Fatalf("error %v is no *http1.Error", err)
	}
	if len(e.Error()) > 400 || strings.ContainsFunc(e.Error(), func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("error text is unfit for a log: %q", e.Error())
	}
	return fmt.Sprintf("%d %s", e.Status, e.Reason)
}

// limits are the default ones.
func limits() *http1.Limits {
	lim := http1.DefaultLimits()
	return &lim
}

// forward returns what a server gets of the request.
func forward(t *testing.T, r *http1.Request, e *http1.Edit) string {
	t.Helper()
	b, err := r.AppendHead(nil, e)
	if err != nil {
		t.Fatalf("AppendHead: %v", err)
	}
	return string(b)
}
