package reactor

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

// withConn runs f on a coroutine with a connection to a server that runs handle.
func withConn(t *testing.T, handle func(*net.TCPConn), f func(l *Loop, c *Conn) error) {
	t.Helper()
	r := start(t, 1)
	l := r.Loops()[0]
	addr := server(t, handle)
	do(t, l, func() error {
		c, err := l.Dial(addr, DialOptions{})
		if err != nil {
			return err
		}
		defer c.Close()
		return f(l, c)
	})
}

// drips sends a byte after each step, until nobody takes it.
func drips(step time.Duration) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		tick := time.NewTicker(step)
		defer tick.Stop()
		for ; ; <-tick.C {
			if _, err := c.Write([]byte("x")); err != nil {
				return
			}
		}
	}
}

// holds neither reads nor writes until release is closed; then it reads all.
func holds(release <-chan struct{}) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		<-release
		io.Copy(io.Discard, c)
	}
}

func usedUp(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return fmt.Errorf("got %w, want that the budget is used up", err)
}

func TestOnlyWaitingCostsAReadBudget(t *testing.T) {
	sent := make(chan struct{})
	withConn(t, func(c *net.TCPConn) {
		c.Write([]byte("all of it"))
		close(sent)
		io.Copy(io.Discard, c)
	}, func(l *Loop, c *Conn) error {
		l.Await(func() { <-sent })
		c.SetReadBudget(brief)
		if err := l.Sleep(3 * brief); err != nil {
			return err
		}
		if waited := c.ReadWaited(); waited != 0 {
			return fmt.Errorf("sleep was taken for a wait of %s", waited)
		}
		if n, err := c.Read(make([]byte, 64)); err != nil || n == 0 {
			return fmt.Errorf("read %d bytes, %w", n, err)
		}
		return nil
	})
}

func TestAReadBudgetIsForAllWaitsTogether(t *testing.T) {
	withConn(t, drips(brief), func(_ *Loop, c *Conn) error {
		const budget = 4 * brief
		c.SetReadBudget(budget)
		for range 1000 { // each single wait is shorter
			_, err := c.Read(make([]byte, 64))
			if err == nil {
				continue
			}
			if waited := c.ReadWaited(); waited < budget {
				return fmt.Errorf("it was used up by waits of %s", waited)
			}
			return usedUp(err)
		}
		return errors.New("it is never used up")
	})
}

func TestAUsedUpReadBudgetLeavesWhatIsThere(t *testing.T) {
	more := make(chan struct{})
	withConn(t, func(c *net.TCPConn) {
		<-more
		c.Write([]byte("late"))
		more <- struct{}{}
		io.Copy(io.Discard, c)
	}, func(l *Loop, c *Conn) error {
		c.SetReadBudget(brief)
		b := make([]byte, 64)
		for range 2 { // it stays used up until it is set anew
			if _, err := c.Read(b); usedUp(err) != nil {
				return usedUp(err)
			}
		}
		waited := c.ReadWaited()
		l.Await(func() { more <- struct{}{}; <-more })
		until := l.Now().Add(patience)
		for { // the event may come a turn later than the word of it
			n, err := c.Read(b)
			if err == nil && string(b[:n]) == "late" {
				break
			}
			if err = usedUp(err); err != nil || l.Now().After(until) {
				return fmt.Errorf("what is there is not read: %w", err)
			}
			if err := l.Sleep(1); err != nil {
				return err
			}
		}
		if c.ReadWaited() != waited {
			return fmt.Errorf("waited once more, %s instead of %s", c.ReadWaited(), waited)
		}
		c.SetReadBudget(brief)
		_, err := c.Read(b)
		if c.ReadWaited() < waited+brief {
			return fmt.Errorf("set anew, it lasted %s", c.ReadWaited()-waited)
		}
		return usedUp(err)
	})
}

func TestAWriteBudgetIsForAllWaitsTogether(t *testing.T) {
	release := make(chan struct{})
	withConn(t, holds(release), func(l *Loop, c *Conn) error {
		c.SetWriteBudget(brief)
		n, err := c.Write(make([]byte, 64<<20))
		if usedUp(err) != nil || n == 0 {
			return fmt.Errorf("wrote %d: %w", n, usedUp(err))
		}
		waited := c.WriteWaited()
		if waited < brief {
			return fmt.Errorf("it was used up by waits of %s", waited)
		}
		if _, err := c.Write(make([]byte, 64<<20)); usedUp(err) != nil || c.WriteWaited() != waited {
			return fmt.Errorf("a second time: waited for %s, %w", c.WriteWaited()-waited, usedUp(err))
		}
		if c.ReadWaited() != 0 {
			return errors.New("a write counts as a read")
		}
		t.Log("# what needs no wait is written all the same")
		close(release)
		for until := l.Now().Add(patience); ; {
			if _, err = c.Write([]byte("x")); err == nil {
				return nil
			}
			if usedUp(err) != nil || l.Now().After(until) {
				return fmt.Errorf("with room: %w", err)
			}
			if err := l.Sleep(1); err != nil {
				return err
			}
		}
	})
}

func TestWithoutABudgetWaitsMayTakeAnyTime(t *testing.T) {
	for name, set := range map[string]func(*Conn){
		"by default":  func(*Conn) {},
		"set back":    func(c *Conn) { c.SetReadBudget(1); c.SetReadBudget(Unlimited) },
		"of writes":   func(c *Conn) { c.SetWriteBudget(0) },
		"of too much": func(c *Conn) { c.SetReadBudget(Unlimited - 1) },
	} {
		t.Run(name, func(t *testing.T) {
			withConn(t, func(c *net.TCPConn) {
				<-time.After(3 * brief)
				c.Write([]byte("x"))
			}, func(_ *Loop, c *Conn) error {
				set(c)
				_, err := c.Read(make([]byte, 1))
				return err
			})
		})
	}
}

func TestABudgetOfNothingIsUsedUp(t *testing.T) {
	for _, d := range []time.Duration{0, -1} {
		withConn(t, func(c *net.TCPConn) {
			c.Write([]byte("x"))
			io.Copy(io.Discard, c)
		}, func(_ *Loop, c *Conn) error {
			if _, err := c.Read(make([]byte, 8)); err != nil { // the first byte
				return err
			}
			waited := c.ReadWaited()
			c.SetReadBudget(d)
			_, err := c.Read(make([]byte, 8))
			if c.ReadWaited() != waited {
				return errors.New("it waits")
			}
			return usedUp(err)
		})
	}
}

func TestTheEarlierOfDeadlineAndBudgetEndsAWait(t *testing.T) {
	for name, tc := range map[string]struct{ deadline, budget time.Duration }{
		"the deadline": {brief, time.Hour},
		"the budget":   {time.Hour, brief},
	} {
		t.Run(name, func(t *testing.T) {
			release := make(chan struct{})
			defer close(release)
			withConn(t, holds(release), func(l *Loop, c *Conn) error {
				c.SetDeadline(l.Now().Add(tc.deadline))
				c.SetReadBudget(tc.budget)
				c.SetWriteBudget(tc.budget)
				if _, err := c.Read(make([]byte, 1)); usedUp(err) != nil {
					return usedUp(err)
				}
				_, err := c.Write(make([]byte, 64<<20))
				return usedUp(err)
			})
		})
	}
}

func TestBudgetsHoldInASplice(t *testing.T) {
	release := make(chan struct{})
	r := start(t, 1)
	l := r.Loops()[0]
	drip := server(t, drips(brief))
	flood := server(t, func(c *net.TCPConn) {
		for chunk := make([]byte, 1<<20); ; {
			if _, err := c.Write(chunk); err != nil {
				return
			}
		}
	})
	held := server(t, holds(release))
	defer close(release)
	taken := server(t, func(c *net.TCPConn) { io.Copy(io.Discard, c) })
	for _, tc := range []struct {
		name     string
		from, to func() (*Conn, error)
		limit    func(src, dst *Conn)
		op       string
	}{
		{"of the source", l.dialer(drip), l.dialer(taken), func(src, _ *Conn) { src.SetReadBudget(3 * brief) }, "read"},
		{"of the destination", l.dialer(flood), l.dialer(held), func(_, dst *Conn) { dst.SetWriteBudget(3 * brief) }, "write"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			do(t, l, func() error {
				src, err := tc.from()
				if err != nil {
					return err
				}
				defer src.Close()
				dst, err := tc.to()
				if err != nil {
					return err
				}
				defer dst.Close()
				tc.limit(src, dst)
				moved, err := l.Splice(dst, src, -1)
				var op *net.OpError
				if usedUp(err) != nil || !errors.As(err, &op) || op.Op != tc.op || moved == 0 {
					return fmt.Errorf("moved %d bytes, got %w of a %s", moved, err, tc.op)
				}
				return nil
			})
		})
	}
}

func (l *Loop) dialer(addr netip.AddrPort) func() (*Conn, error) {
	return func() (*Conn, error) { return l.Dial(addr, DialOptions{}) }
}
