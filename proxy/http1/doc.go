// Package http1 is the codec of HTTP/1.1 (RFC 9112) for a proxy: it parses heads
// and chunked bodies, and writes the heads to forward. It is strict where two
// readings of the same bytes could differ, since a proxy and a server that
// disagree about where a message ends are how requests are smuggled.
//
// Nothing here reads, waits or keeps time. The caller owns the buffer. It reads
// into it and calls Parse with everything that came so far, until Parse tells the
// length of the head:
//
//	for {
//		n, err := req.Parse(buf[:have], &limits)
//		if err != nil {
//			// an *Error: answer with its Status, close
//		}
//		if n > 0 {
//			break // buf[n:have] belongs to the body, or to the next request
//		}
//		// read more behind buf[:have]; the buffer may grow and move
//	}
//
// A Request, a Response and a Decoder are meant to be reused; they allocate while
// they grow to their limits, and then no more. What they return is part of the
// last buffer given to them, and valid for as long as its bytes are.
//
// The verdict on a message does not depend on how it is cut into reads, and is
// given as soon as the bytes that it rests on are there.
package http1
