package reactor

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

const brief = 30 * time.Millisecond

// Nothing else happens on the loop in these tests: only its timers can wake it.

func TestReadAndWriteEndAtTheirDeadline(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	release := make(chan struct{})
	addr := server(t, func(*net.TCPConn) { <-release })
	defer close(release)
	large := make([]byte, 64<<20)
	for _, test := range []struct {
		name string
		op   func(c *Conn) error
	}{
		{"read", func(c *Conn) error { _, err := c.Read(make([]byte, 1)); return err }},
		{"write", func(c *Conn) error { _, err := c.Write(large); return err }},
		{"write of buffers", func(c *Conn) error { _, err := c.WriteBuffers(large[:10], large); return err }},
	} {
		t.Run(test.name, func(t *testing.T) {
			do(t, l, func() error {
				c, err := l.Dial(addr, DialOptions{})
				if err != nil {
					return err
				}
				defer c.Close()
				began := time.Now()
				c.SetDeadline(began.Add(brief))
				err = test.op(c)
				var timeout net.Error
				if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
					return fmt.Errorf("got %w, want a timeout", err)
				}
				if early := brief - time.Since(began); early > 0 {
					return fmt.Errorf("%s too early", early)
				}
				// As with net.Conn: it stays passed until it is set anew.
				if err := test.op(c); !errors.Is(err, os.ErrDeadlineExceeded) {
					return fmt.Errorf("a second time: %w", err)
				}
				return nil
			})
		})
	}
}

func TestADeadlineMayBeMovedWhileAnotherCoroutineWaits(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	release := make(chan struct{})
	addr := server(t, func(*net.TCPConn) { <-release })
	defer close(release)
	do(t, l, func() error {
		c, err := l.Dial(addr, DialOptions{})
		if err != nil {
			return err
		}
		defer c.Close()
		c.SetReadDeadline(time.Now().Add(time.Hour))
		var failure error
		read := l.Go(func() { _, failure = c.Read(make([]byte, 1)) })
		if err := l.Sleep(brief); err != nil {
			return err
		}
		c.SetReadDeadline(time.Now().Add(brief))
		if err := read.Wait(); err != nil {
			return err
		}
		if !errors.Is(failure, os.ErrDeadlineExceeded) {
			return fmt.Errorf("got %w, want a timeout", failure)
		}
		return nil
	})
}

func TestADeadlineThatIsMovedAwayDoesNotExpire(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	addr := server(t, func(c *net.TCPConn) {
		io.ReadFull(c, make([]byte, 1))
		c.Write([]byte("late"))
	})
	do(t, l, func() error {
		c, err := l.Dial(addr, DialOptions{})
		if err != nil {
			return err
		}
		defer c.Close()
		c.SetReadDeadline(time.Now().Add(brief))
		var n int
		var failure error
		read := l.Go(func() { n, failure = c.Read(make([]byte, 8)) })
		if err := l.Sleep(0); err != nil {
			return err
		}
		c.SetReadDeadline(time.Time{})
		if err := l.Sleep(4 * brief); err != nil {
			return err
		}
		if _, err := c.Write([]byte("x")); err != nil {
			return err
		}
		read.Wait()
		if n != 4 || failure != nil {
			return fmt.Errorf("read %d bytes, %w", n, failure)
		}
		return nil
	})
}

func TestANewConnectionWithoutBytesEndsAtItsDeadline(t *testing.T) {
	r := start(t, 1)
	ends := make(chan error, 1)
	_, addr := r.listen(t, ListenOptions{
		Serve:   echo,
		Closed:  func(_ *Conn, reason error) { ends <- reason },
		Timeout: brief,
	})
	c := connectTo(t, addr)
	if err := receive(t, "the end", ends); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want a timeout", err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the client reads %v, want EOF", err)
	}
}

func TestSleepNeverEndsEarly(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	for _, d := range []time.Duration{-1, 0, 1, time.Millisecond, brief} {
		do(t, l, func() error {
			began := l.Now()
			if err := l.Sleep(d); err != nil {
				return err
			}
			if slept := l.Now().Sub(began); slept < d {
				return fmt.Errorf("slept %s instead of %s", slept, d)
			}
			return nil
		})
	}
}

func TestEveryGoesOnUntilItIsStopped(t *testing.T) {
	r := start(t, 1)
	l := r.Loops()[0]
	do(t, l, func() error {
		const period = 20 * time.Millisecond
		calls, began := 0, l.Now()
		var stop func()
		stop = l.Every(period, func() {
			calls++
			if took := l.Now().Sub(began); took < time.Duration(calls)*period {
				t.Errorf("call %d came after %s", calls, took)
			}
			switch calls {
			case 1:
				panic("it goes on all the same")
			case 3:
				stop()
			}
		})
		for until := l.Now().Add(patience); calls < 3 && l.Now().Before(until); {
			if err := l.Sleep(period); err != nil {
				return err
			}
		}
		if err := l.Sleep(3 * period); err != nil {
			return err
		}
		if calls != 3 || r.Panics() != 1 {
			return fmt.Errorf("%d calls, %d panics", calls, r.Panics())
		}
		stop() // once more does nothing
		l.Every(time.Hour, func() { t.Error("called too early") })
		return nil
	})
	// The end of the loop does not wait for the last one.
}
