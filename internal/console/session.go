package console

import (
	"context"
	"net/http"
	"time"
)

// session is the time for which a token is good: what is followed by who has shown it ends
// with it. The zero session is that of nobody.
type session struct {
	token digest
	over  context.Context // done when another token is in its place, or none
	end   context.CancelFunc
}

// of returns the session of the token that is good now. Others end.
func (s *session) of(token digest) context.Context {
	if s.over == nil || s.token != token {
		s.close()
		s.token = token
		s.over, s.end = context.WithCancel(context.Background())
	}
	return s.over
}

// close ends the session: no token is good.
func (s *session) close() {
	if s.end != nil {
		s.end()
	}
	*s = session{}
}

// within returns r as it is to be answered: not for longer than over lasts, which is nil
// for who needs no token.
func within(r *http.Request, over context.Context) (*http.Request, func()) {
	if over == nil {
		return r, func() {}
	}
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(over, cancel)
	return r.WithContext(ctx), func() {
		stop()
		cancel()
	}
}

// watchToken ends the session of a token that is good no longer, until ctx is done: who
// follows something does not come again for it to be looked at. It does not wait for a
// file that cannot be read to an end.
func (c *Console) watchToken(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		looked := make(chan struct{})
		go func() {
			defer close(looked)
			// As for a request: else what was read before the token of one would end its
			// session.
			c.mu.Lock()
			defer c.mu.Unlock()
			token, err := c.token.get(time.Now())
			if err != nil {
				c.session.close()
			} else {
				c.session.of(token)
			}
		}()
		select {
		case <-ctx.Done():
			return
		case <-looked:
		}
	}
}
