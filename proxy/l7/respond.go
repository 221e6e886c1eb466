package l7

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/tandemlb/tandem/proxy/http1"
	"github.com/tandemlb/tandem/proxy/l7/flow"
	"github.com/tandemlb/tandem/proxy/retry"
	"github.com/tandemlb/tandem/proxy/upstream"
)

// smallBody is the size up to which a body is copied behind its head: cheaper than
// to hand two pieces to the kernel.
const smallBody = 4 << 10

// respond sends the response on: its head, as soon as that is there, with what came
// of the body behind it, and then the rest.
func (x *exchange) respond() after {
	x.phase = retry.Stream
	keep := x.req.KeepAlive && x.body.done && !x.p.Draining()
	body := x.res.BodyForClient()
	keep = keep && body.Kind != http1.UntilClose
	x.edit = http1.Edit{Lines: x.edit.Lines[:0], Close: !keep, KeepAlive: keep && x.req.Minor == 0}
	x.dress(&x.edit)
	var err error
	if x.out, err = x.res.AppendHead(x.out[:0], &x.edit); err != nil {
		panic("l7: " + err.Error()) // what is added has been tried
	}
	s := x.sink()
	x.record.status = x.res.Status
	c := x.sendOn(s, body)
	x.record.sent = s.sent
	if c != retry.None {
		return x.broken(c)
	}
	return x.finish(keep)
}

// sink is the client as the receiver of a response.
type sink struct {
	x    *exchange
	pace flow.Pace
	sent int64 // bytes of the body
}

func (x *exchange) sink() *sink {
	l := &x.conf.Listener
	x.toClient = sink{x: x, pace: flow.Pace{Rate: l.Limits.MinRate, Idle: l.Timeouts.WriteIdle}}
	return &x.toClient
}

// write sends what is given, at the pace of the client.
func (s *sink) write(bufs ...[]byte) retry.Cause {
	c := s.x.client
	c.SetWriteBudget(s.pace.Allowance())
	before := c.WriteWaited()
	var n int64
	var err error
	if len(bufs) == 1 {
		var k int
		k, err = c.Write(bufs[0])
		n = int64(k)
	} else {
		n, err = c.WriteBuffers(bufs...)
	}
	s.pace.Took(int(n), c.WriteWaited()-before)
	if err != nil {
		return s.blame(err)
	}
	return retry.None
}

func (s *sink) blame(err error) retry.Cause {
	if errors.Is(err, net.ErrClosed) {
		return retry.ShutDown
	}
	return s.x.causeOf(err)
}

// sendOn sends head and body.
func (x *exchange) sendOn(s *sink, body http1.Body) retry.Cause {
	switch x.res.Body.Kind {
	case http1.Sized:
		return x.sendSized(s)
	case http1.Chunked:
		return x.sendChunked(s, body.Kind == http1.Chunked)
	case http1.UntilClose:
		return x.sendUntilClose(s, body.Kind == http1.Chunked)
	}
	return s.write(x.out)
}

func (x *exchange) sendSized(s *sink) retry.Cause {
	left := x.res.Body.Length
	first := x.back.Unread()
	if int64(len(first)) > left {
		first = first[:left] // and what follows condemns the connection
	}
	x.back.R += len(first)
	left -= int64(len(first))
	c := x.sendFirst(s, first)
	if c != retry.None {
		return c
	}
	s.sent += int64(len(first))
	for part := int64(flow.LeastPart); left >= flow.SpliceFrom && x.server.conn.Plain() && x.client.Plain(); {
		before := x.client.WriteWaited()
		moved, piped, c := x.spliceOn(s, min(left, part))
		left -= moved
		if c != retry.None {
			return c
		}
		if !piped {
			break
		}
		part = flow.NextPart(part, x.client.WriteWaited()-before, s.pace.Allowance())
	}
	for left > 0 {
		room := x.back.B[:min(int64(len(x.back.B)), left)]
		n, c := x.readBody(room)
		if c != retry.None {
			return c
		}
		left -= int64(n)
		if c := s.write(room[:n]); c != retry.None {
			return c
		}
		s.sent += int64(n)
	}
	return retry.None
}

// sendFirst sends the head and what came with it.
func (x *exchange) sendFirst(s *sink, data []byte) retry.Cause {
	if len(data) == 0 || len(data) > smallBody {
		return s.write(x.out, data)
	}
	x.out = append(x.out, data...)
	return s.write(x.out)
}

// spliceOn moves up to n bytes of the body through the kernel. When piped is false,
// there is no pipe for it.
func (x *exchange) spliceOn(s *sink, n int64) (moved int64, piped bool, _ retry.Cause) {
	up := x.server.conn
	up.SetReadBudget(bodyIdle(x.to))
	x.client.SetWriteBudget(s.pace.Allowance())
	before := x.client.WriteWaited()
	moved, err := x.loop.Splice(x.client.Conn, up.Conn, n)
	s.pace.Took(int(moved), x.client.WriteWaited()-before)
	s.sent += moved
	if err == nil {
		return moved, true, retry.None
	}
	server, client := flow.Sides(err)
	switch {
	case flow.NoPipe(err):
		return moved, false, retry.None
	case client != nil:
		return moved, true, s.blame(client)
	case moved > 0 && errors.Is(server, os.ErrDeadlineExceeded):
		return moved, true, retry.None // slow, and not too slow
	}
	return moved, true, x.bodyCause(server)
}

// readBody reads a part of the response's body.
func (x *exchange) readBody(b []byte) (int, retry.Cause) {
	up := x.server.conn
	up.SetReadBudget(bodyIdle(x.to))
	n, err := up.Read(b)
	if err != nil {
		return n, x.bodyCause(err)
	}
	return n, retry.None
}

// bodyCause says what a failed read of the body means.
func (x *exchange) bodyCause(err error) retry.Cause {
	if x.body.cause != retry.None {
		return x.body.cause // it has closed the connection
	}
	return x.serverCause(err)
}

// The room that the frames of chunks take around the data in a buffer.
const (
	frameHead = http1.ChunkRoom
	frameTail = len("\r\n0\r\n\r\n")
)

// sendChunked sends a body that came in chunks: in chunks of our own, each of all the
// data that was read at once, or as it is to a client that knows none.
func (x *exchange) sendChunked(s *sink, chunks bool) retry.Cause {
	d := &x.decoder
	d.Reset(&x.res.Head, &x.engine.limits)
	pending := x.out // the head, until it has been sent
	from, to := x.back.R, x.back.W
	for {
		n, used, err := d.Decode(x.back.B[from:to])
		if err != nil {
			x.p.badResponse(x, err)
		}
		ended := d.Done()
		x.back.R, x.back.W = from+used, to
		var piece []byte
		switch {
		case n > 0 && chunks:
			piece = http1.FrameChunk(x.back.B, from, from+n)
		case n > 0:
			piece = x.back.B[from : from+n]
		}
		if ended && chunks {
			leftover := x.back.W > x.back.R // looked at before it is overwritten
			piece = http1.AppendLastChunk(piece, d.Trailers())
			x.unasked = leftover
		}
		if len(pending)+len(piece) > 0 {
			if c := s.write(pending, piece); c != retry.None {
				return c
			}
			pending = nil
			s.sent += int64(n)
		}
		switch {
		case err != nil:
			return retry.ServerBad
		case ended:
			return retry.None
		}
		got, c := x.readBody(x.back.B[frameHead : len(x.back.B)-frameTail])
		if c != retry.None {
			return c
		}
		from, to = frameHead, frameHead+got
	}
}

// sendUntilClose sends a body that ends with the connection.
func (x *exchange) sendUntilClose(s *sink, chunks bool) retry.Cause {
	pending := x.out
	from, to := x.back.R, x.back.W
	x.back.R = x.back.W
	if short := to + frameTail - len(x.back.B); short > 0 {
		x.back.B = append(x.back.B, make([]byte, short)...) // it was read without a frame in mind
	}
	for {
		piece := x.back.B[from:to]
		if chunks && to > from {
			piece = http1.FrameChunk(x.back.B, from, to)
		}
		if len(pending)+len(piece) > 0 {
			if c := s.write(pending, piece); c != retry.None {
				return c
			}
			pending = nil
			s.sent += int64(to - from)
		}
		up := x.server.conn
		up.SetReadBudget(bodyIdle(x.to))
		n, err := up.Read(x.back.B[frameHead : len(x.back.B)-frameTail])
		switch {
		case err == io.EOF && chunks: //nolint:errorlint // never wrapped
			return s.write(http1.AppendLastChunk(x.out[:0], nil))
		case err == io.EOF: //nolint:errorlint // never wrapped
			return retry.None
		case err != nil:
			return x.bodyCause(err)
		}
		from, to = frameHead, frameHead+n
	}
}

// broken ends an exchange whose response cannot be completed: the client must not
// take what it has for all.
func (x *exchange) broken(c retry.Cause) after {
	x.body.stop(x)
	if c.Blames() {
		x.server.result.Result = upstream.Failure
		x.server.server.Broke()
		x.p.failed.Add(1)
	}
	x.log(c)
	x.dropServer()
	// What the kernel still holds would keep who takes nothing for minutes.
	if x.res.BodyForClient().Kind == http1.UntilClose || c == retry.ClientSlow {
		_ = x.client.Abort() // or it is closed already
	}
	return closing
}

// finish ends an exchange whose response has been sent.
func (x *exchange) finish(keep bool) after {
	uploaded := x.body.done
	if !uploaded {
		x.body.stop(x)
	} else if x.body.task != nil {
		_ = x.body.task.Wait()
		x.body.task = nil
	}
	x.log(retry.None)
	a := &x.server
	c := a.conn
	a.conn = nil
	c.WatchHangup(nil)
	if x.back.W > x.back.R || x.unasked {
		// An answer that nobody asked for would be taken for that to the next request.
		x.p.Refuse("unsolicited_response")
		_ = c.Close()
	} else if x.res.Reusable && uploaded {
		_ = c.SetWriteDeadline(time.Time{}) // open, or it is not kept
		c.Link.Keep(c, x.loop.Now(), x.to)
	} else {
		_ = c.Close()
	}
	x.dropServer()
	if !keep {
		if !uploaded || x.in.W > x.in.R || x.req.KeepAlive {
			x.linger()
		}
		return closing
	}
	x.letGo()
	x.in.Compact()
	return another
}

const (
	lingerFor   = time.Second
	lingerBytes = 64 << 10
)

// linger ends the sending side, and takes for a while what still comes: to close a
// connection with unread bytes resets it, and the client might lose the response.
func (x *exchange) linger() {
	if x.client.CloseWrite() != nil {
		return
	}
	_ = x.client.SetReadDeadline(x.loop.Now().Add(lingerFor))
	x.client.SetReadBudget(flow.Never)
	for taken := 0; taken < lingerBytes; {
		n, err := x.client.Read(x.back.B)
		if err != nil {
			return
		}
		taken += n
	}
}
