package console

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/gate"
	"github.com/tandemlb/tandem/internal/page"
)

// policy is what browsers are told to hold the page to: nothing of it comes from
// elsewhere or goes elsewhere, no script is written into it, nobody frames it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// access is what everybody may know: whether the page has to ask for a token.
type access struct {
	Token bool `json:"token"`
}

// ServeHTTP implements http.Handler.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")

	isPage, isAccess := page.Has(r.URL.Path), r.URL.Path == "/v1/access"
	v := c.judge(time.Now(), callOf(r, isPage || isAccess), r)
	if v.refusal != granted {
		c.refuse(w, r, v.refusal, v.wait)
		return
	}
	r, done := within(r, v.session)
	defer done()
	if r.Method == http.MethodGet && r.Body == http.NoBody {
		// Nothing more is to be read; what is followed lasts. A body that was announced
		// is waited for before the answer, and must not be for ever.
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // a writer without has none
	}
	switch {
	case isPage:
		c.pages.ServeHTTP(w, r)
	case isAccess:
		admin.Answer(w, http.StatusOK, access{Token: c.rules.token})
	case r.URL.Path == "/v1/feed" && r.Method == http.MethodGet:
		c.feed.ServeHTTP(w, r)
	default:
		c.api.ServeHTTP(w, r)
	}
}

// verdict is what becomes of a request.
type verdict struct {
	refusal Refusal
	wait    time.Duration   // after which it may come again
	session context.Context // while which it may be answered; nil: for ever
}

// judge says what becomes of a request.
func (c *Console) judge(now time.Time, k call, r *http.Request) verdict {
	if why := c.rules.admits(k); why != granted || !c.rules.needsToken(k) {
		return verdict{refusal: why}
	}
	shown := bearer(r)
	if shown == "" {
		return verdict{refusal: NoToken}
	}
	from := gate.Remote(r.RemoteAddr)
	c.mu.Lock()
	defer c.mu.Unlock()
	if wait := c.guesses.wait(now, from); wait > 0 {
		return verdict{refusal: TooMany, wait: wait}
	}
	want, err := c.token.get(now)
	if err != nil {
		return verdict{refusal: TokenFile}
	}
	got := sha256.Sum256([]byte(shown))
	if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		c.guesses.wrong(now, from)
		return verdict{refusal: BadToken}
	}
	return verdict{session: c.session.of(want)}
}

// refuse answers a request that is refused.
func (c *Console) refuse(w http.ResponseWriter, r *http.Request, why Refusal, wait time.Duration) {
	c.count(why)
	c.say(why, gate.Remote(r.RemoteAddr), zap.String("method", r.Method), zap.String("path", bounds(r.URL.Path)), zap.String("host", bounds(r.Host)))
	code, text := http.StatusForbidden, ""
	switch why {
	case BadHost:
		text = fmt.Sprintf("this node is not known as %q: ask by its address, or put the name into admin.names of the config", bounds(r.Host))
	case BadOrigin:
		text = "the request comes from a page of another site"
	case ReadOnly:
		text = "nothing can be changed here: the config has no admin.token_file; use the command line on the node"
	case NoToken:
		code, text = http.StatusUnauthorized, "a token is needed: Authorization: Bearer TOKEN, as in admin.token_file of the node"
	case BadToken:
		code, text = http.StatusUnauthorized, "the token is not the one in admin.token_file of the node"
	case TooMany:
		code = http.StatusTooManyRequests
		seconds := int(math.Ceil(wait.Seconds()))
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
		text = fmt.Sprintf("too many wrong tokens came from your address: try again in %d s", seconds)
	case TokenFile:
		code, text = http.StatusServiceUnavailable, "the file admin.token_file of the node cannot be used: its log says why"
	default:
		text = string(why)
	}
	if code == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="tandem"`)
	}
	admin.Answer(w, code, admin.Failure{Error: text})
}

// bounds returns as much of s as belongs into a message.
func bounds(s string) string { return s[:min(len(s), 100)] }

func (c *Console) count(why Refusal) { c.refusals[why].Add(1) }

// crowded notes a connection beyond the bounds.
func (c *Console) crowded(from netip.Addr) {
	c.count(Connections)
	c.say(Connections, from)
}

// say logs a refusal, but for those that come on the heels of others.
func (c *Console) say(why Refusal, from netip.Addr, fields ...zap.Field) {
	held, ok := c.said.next(time.Now())
	if !ok {
		return
	}
	fields = append(fields, zap.String("reason", string(why)), zap.Stringer("from", from), zap.Uint64("heldBack", held))
	c.o.Log.Warn("the admin listener refused a request", fields...)
}

// sayEvery is the time between two lines about refusals, but for the first few.
const (
	sayEvery = 5 * time.Second
	sayBurst = 5
)

// said bounds how much is logged.
type said struct {
	mu   sync.Mutex
	full time.Time // when as many as sayBurst may be said again
	held uint64    // since something was said last
}

// next reports whether another line may be said, and if so how many were not since
// the last one.
func (s *said) next(now time.Time) (held uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full.Sub(now) > (sayBurst-1)*sayEvery {
		s.held++
		return 0, false
	}
	if s.full.Before(now) {
		s.full = now
	}
	s.full = s.full.Add(sayEvery)
	held, s.held = s.held, 0
	return held, true
}
