package l7

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/tandemlb/tandem/proxy/backend"
	"github.com/tandemlb/tandem/proxy/http1"
	"github.com/tandemlb/tandem/proxy/l7/flow"
	"github.com/tandemlb/tandem/proxy/reactor"
	"github.com/tandemlb/tandem/proxy/retry"
)

// upload is the body of a request on its way. What of it comes with the head is
// sent with the head, and can be sent again. For the rest there is a second
// coroutine, since the response may begin before the request has ended.
type upload struct {
	kind    http1.BodyKind
	left    int64 // of a sized body: what the client has yet to send
	decoder http1.Decoder

	first [2]int // where in the buffer the data is that came with the head
	whole bool   // nothing but that has been taken from the client
	done  bool   // all has been taken from the client
	held  bool   // the server has yet to say that it wants the body

	received int64 // bytes of data
	pace     flow.Pace
	task     *reactor.Task // that sends the rest
	cause    retry.Cause   // why that ended before its time
}

// begin looks at what is there of the body.
func (u *upload) begin(x *exchange) {
	l := &x.conf.Listener
	u.kind, u.left, u.first = x.req.Body.Kind, x.req.Body.Length, [2]int{x.in.R, x.in.R}
	u.whole, u.done, u.held = true, x.req.Body.Empty(), false
	u.received, u.pace = 0, flow.Pace{Rate: l.Limits.MinRate, Idle: l.Timeouts.BodyIdle}
	u.task, u.cause = nil, retry.None
	if u.kind == http1.Chunked {
		u.decoder.Reset(&x.req.Head, &x.conf.limits)
	}
}

// prefetch takes in what has arrived of the body already, as far as there is room
// behind the head.
func (u *upload) prefetch(x *exchange) retry.Cause {
	for {
		if err := u.takeFirst(x); err != nil {
			return u.blame(x, err)
		}
		u.held = x.req.ExpectContinue && !u.done
		if u.done || u.held || len(x.in.Room()) == 0 {
			return retry.None
		}
		n, err := x.client.TryRead(x.in.Room())
		x.in.W += n
		switch {
		case err == reactor.ErrWouldBlock: //nolint:errorlint // never wrapped
			return retry.None
		case err != nil:
			return x.causeOf(err)
		}
	}
}

var errBodyTooLarge = errors.New("the body is larger than allowed")

// takeFirst makes data of what is in the buffer.
func (u *upload) takeFirst(x *exchange) error {
	b := x.in.Unread()
	var n, used int
	switch u.kind {
	case http1.Sized:
		n = int(min(int64(len(b)), u.left))
		used = n
		u.left -= int64(n)
		u.done = u.left == 0
	case http1.Chunked:
		var err error
		if n, used, err = u.decoder.Decode(b); err != nil {
			return err
		}
		u.done = u.decoder.Done()
	default:
		return nil
	}
	u.first[1] += n
	u.received += int64(n)
	if most := x.conf.Listener.Limits.BodyBytes; most > 0 && u.received > most {
		return errBodyTooLarge
	}
	if u.done {
		x.in.R += used
		return nil
	}
	// All is used: what comes next belongs right behind the data.
	x.in.R += n
	x.in.W = x.in.R
	return nil
}

// blame says whose fault a body that cannot be carried is.
func (u *upload) blame(x *exchange, err error) retry.Cause {
	if errors.Is(err, errBodyTooLarge) {
		return retry.ClientTooBig
	}
	x.p.refused(x, err)
	return retry.ClientBad
}

const crlf = "\r\n"

// sendFirst sends the head in x.out, and the data that came with it. n is how much
// was sent. Then the second coroutine takes over.
func (u *upload) sendFirst(x *exchange, c *backend.Conn) (n int64, err error) {
	data := x.in.B[u.first[0]:u.first[1]]
	switch {
	case u.kind == http1.Chunked:
		n, err = u.sendFirstChunk(x, c, data)
	case len(data) == 0:
		var k int
		k, err = c.Write(x.out)
		n = int64(k)
	default:
		n, err = c.WriteBuffers(x.out, data)
	}
	if err == nil && !u.done && !u.held {
		u.start(x)
	}
	return n, err
}

func (u *upload) sendFirstChunk(x *exchange, c *backend.Conn, data []byte) (int64, error) {
	head := len(x.out)
	end := head
	if len(data) > 0 {
		x.out = http1.AppendChunkHeader(x.out, len(data))
		end = len(x.out)
		x.out = append(x.out, crlf...)
	}
	if u.done {
		x.out = http1.AppendLastChunk(x.out, u.decoder.Trailers())
	}
	if len(data) == 0 {
		n, err := c.Write(x.out)
		return int64(n), err
	}
	return c.WriteBuffers(x.out[:end], data, x.out[end:])
}

// release lets a body go that the server was to be asked for.
func (u *upload) release(x *exchange) {
	u.held = false
	u.start(x)
}

func (u *upload) start(x *exchange) {
	c := x.server.conn
	u.whole = false // from now on: what is taken from the client is not kept
	u.task = x.loop.Go(func() { u.run(x, c) })
}

// stop ends the second coroutine, if it runs. The connection to the client is of no
// more use then.
func (u *upload) stop(x *exchange) {
	if u.task == nil {
		return
	}
	if !u.done {
		_ = x.client.SetReadDeadline(x.loop.Now().Add(-1)) // open, or the read has ended
		_ = x.server.conn.SetWriteDeadline(x.loop.Now().Add(-1))
	}
	_ = u.task.Wait() // its panic is counted
	u.task = nil
}

// run sends what follows the first part. It ends the wait for the response when the
// client fails; when the server does, that will show there.
func (u *upload) run(x *exchange, c *backend.Conn) {
	var client, server error
	if u.kind == http1.Sized {
		client, server = u.runSized(x, c)
	} else {
		client, server = u.runChunked(x, c)
	}
	switch {
	case client != nil:
		if u.cause = u.clientCause(x, client); u.cause != retry.None {
			_ = c.Abort() // or it is closed already
		}
	case server == nil:
		u.done = true
		if x.phase == retry.Head {
			x.awaitResponse()
		}
	case errors.Is(server, os.ErrDeadlineExceeded) && x.phase == retry.Head:
		// It takes nothing any more, and nothing says that it will ever answer.
		u.cause = retry.ServerLate
		_ = c.Abort() // or it is closed already
	}
}

func (u *upload) clientCause(x *exchange, err error) retry.Cause {
	if _, ok := errors.AsType[*http1.Error](err); ok || errors.Is(err, errBodyTooLarge) {
		return u.blame(x, err)
	}
	if errors.Is(err, net.ErrClosed) {
		return retry.ShutDown
	}
	return x.causeOf(err)
}

func (u *upload) runSized(x *exchange, c *backend.Conn) (client, server error) {
	for part := int64(flow.LeastPart); u.left >= flow.SpliceFrom && c.Plain() && x.client.Plain(); {
		x.client.SetReadBudget(u.pace.Allowance())
		c.SetWriteBudget(sendIdle(x.to))
		before, waited := x.client.ReadWaited(), c.WriteWaited()
		moved, err := x.loop.Splice(c.Conn, x.client.Conn, min(u.left, part))
		u.moved(x, moved, before)
		part = flow.NextPart(part, c.WriteWaited()-waited, sendIdle(x.to))
		if err == nil {
			continue
		}
		if flow.NoPipe(err) {
			break
		}
		client, server = flow.Sides(err)
		if moved > 0 && errors.Is(client, os.ErrDeadlineExceeded) && u.pace.Allowance() > 0 {
			continue // slow, and not too slow
		}
		return client, server
	}
	b := x.borrow()
	defer x.giveBack(b)
	for u.left > 0 {
		n, err := u.read(x, b[:min(int64(len(b)), u.left)])
		if err != nil {
			return err, nil
		}
		u.left -= int64(n)
		c.SetWriteBudget(sendIdle(x.to))
		if _, err := c.Write(b[:n]); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// moved notes what was spliced.
func (u *upload) moved(x *exchange, n int64, before time.Duration) {
	u.left -= n
	u.received += n
	u.pace.Took(int(n), x.client.ReadWaited()-before)
}

// read reads from the client at its pace.
func (u *upload) read(x *exchange, b []byte) (int, error) {
	x.client.SetReadBudget(u.pace.Allowance())
	before := x.client.ReadWaited()
	n, err := x.client.Read(b)
	u.pace.Took(n, x.client.ReadWaited()-before)
	u.received += int64(n)
	if err == io.EOF { //nolint:errorlint // never wrapped
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (u *upload) runChunked(x *exchange, c *backend.Conn) (client, server error) {
	b := x.borrow()
	defer x.giveBack(b)
	const tail = len("\r\n0\r\n\r\n")
	for !u.done {
		room := b[http1.ChunkRoom : len(b)-tail]
		got, err := u.read(x, room)
		if err != nil {
			return err, nil
		}
		u.received -= int64(got)
		n, used, err := u.decoder.Decode(room[:got])
		if err != nil {
			return err, nil
		}
		u.received += int64(n)
		if most := x.conf.Listener.Limits.BodyBytes; most > 0 && u.received > most {
			return errBodyTooLarge, nil
		}
		ended := u.decoder.Done()
		if ended {
			// What follows the body is the next request.
			x.in.Keep(room[used:got])
		}
		var frame []byte
		if n > 0 {
			frame = http1.FrameChunk(b, http1.ChunkRoom, http1.ChunkRoom+n)
		}
		if ended {
			frame = http1.AppendLastChunk(frame, u.decoder.Trailers())
		}
		if len(frame) > 0 {
			c.SetWriteBudget(sendIdle(x.to))
			if _, err := c.Write(frame); err != nil {
				return nil, err
			}
		}
		if ended {
			return nil, nil
		}
	}
	return nil, nil
}
