package notice

import (
	"fmt"
	"time"
)

const (
	// proofWithin bounds a connection attempt that is to prove a death. A SYN or
	// its answer may be lost, and the kernel repeats it only after a second: a
	// new attempt is sooner.
	proofWithin = 50 * time.Millisecond
	// doubtFor is how long the proof of a death is sought after the end of a
	// session. Later the timers have decided, or soon will.
	doubtFor = time.Second
	// dialWithin bounds a connection attempt that has nothing to prove.
	dialWithin = time.Second

	// The pauses between attempts double from the first to the last: at a proof,
	// and without a session. The first ones at a proof are short because a dying
	// process may close the session some moments before its listener.
	proofFirst, proofLast = time.Millisecond, 50 * time.Millisecond
	firstPause, lastPause = 100 * time.Millisecond, 5 * time.Second

	// shortLived is the life of a session whose end is not looked into at once
	// when it is not the first with that process: two processes that disagree
	// must not spin.
	shortLived = time.Second
	// stableAfter is the life of a session that restores the trust in refusals.
	stableAfter = time.Minute
	// settle is how long after a death an advertisement or a hello may still be
	// read that was sent before it.
	settle = 100 * time.Millisecond
	// rejectedEvery is the least time between two warnings of a peer that fails
	// to prove what it is: strangers must not fill a log.
	rejectedEvery = time.Minute
)

// state is that of the session which this agent has with its peer:
//
//	           answered
//	absent ---------------> present <---.
//	  ^  ^                   |     |    | answered: by the same process (Lost)
//	  |  '-------------------'     |    | or by a new one (Died)
//	  |   goodbye, or no proof     |    |
//	  |   can follow (Lost)        v    |
//	  '----------------------- doubtful-'
//	   refused (Died),          EOF or reset
//	   no answer (Lost)
type state uint8

const (
	absent   state = iota // there is none
	present               // it lives
	doubtful              // it ended without a goodbye, and the proof of a death is sought
)

// how a dial ended.
type outcome uint8

const (
	answered  outcome = iota // the peer has proven what it is
	refused                  // the host lives, and nobody listens
	silent                   // no connection, and no refusal: proves nothing
	abandoned                // the connection was taken, and ended before the peer's hello
	rejected                 // something answered that is no peer of ours
)

// outcomes counts them.
const outcomes = 5

type result struct {
	outcome outcome
	peer    process // that answered
	detail  string  // of every other outcome
}

// how a session ended.
type end uint8

const (
	endClosed  end = iota // EOF or reset, without a goodbye
	endGoodbye            // after a goodbye
	endOther              // because the peer made no sense, or by another error of the connection
)

type ending struct {
	how    end
	detail string
}

// output is what follows from an input.
type output struct {
	dial   time.Duration // dial the peer now, with this bound on the connection; 0: do not
	events []Event       // to publish, in this order
}

// core decides what the ends and beginnings of connections prove. It is told of
// every one of them, with the time, and asks for at most one dial at a time.
type core struct {
	address string // of the peer, for messages

	state state
	since time.Time // of the present session
	until time.Time // of the doubt
	peer  process   // of the newest session
	end   string    // of the newest session

	dialing bool
	early   bool          // the dial under way began before the session ended: its refusal proves nothing
	at      time.Time     // of the next dial; zero: none is wanted
	pause   time.Duration // before the dial after the next one
	hasty   int           // sessions in a row with one process that were short-lived

	died     time.Time // when a refusal was taken as the proof, and no process was met since
	distrust bool      // such a proof was wrong
	warned   warnings
}

// warnings are those that were given, and are not to be repeated.
type warnings struct {
	deaf     bool
	outcomes [outcomes]bool
	rejected time.Time // when a rejection was last one of them
}

func newCore(address string, now time.Time) *core {
	return &core{address: address, at: now, pause: firstPause}
}

// next returns when tick is wanted; zero: not before another input.
func (c *core) next() time.Time {
	if c.dialing {
		return time.Time{}
	}
	return c.at
}

// tick dials when it is time.
func (c *core) tick(now time.Time) output {
	if at := c.next(); at.IsZero() || now.Before(at) {
		return output{}
	}
	c.dialing, c.at = true, time.Time{}
	if c.state == doubtful {
		return output{dial: proofWithin}
	}
	return output{dial: dialWithin}
}

// dialed takes the result of the dial that was asked for.
func (c *core) dialed(now time.Time, r result) output {
	early := c.early
	c.dialing, c.early = false, false
	switch {
	case r.outcome == answered:
		return c.met(now, r.peer)
	case c.state == doubtful && early:
		c.at = now
		return c.tick(now)
	case c.state == doubtful && r.outcome == refused:
		return c.refused(now, r.detail)
	case c.state == doubtful && !now.Before(c.until):
		// A dropped SYN, a full backlog, a cut cable: all of it may be on our
		// side. The timers decide.
		c.leave(now, r.outcome)
		return c.publish(now, Lost, "the session with %s ended (%s), and proves nothing: %s", c.who(), c.end, r.detail)
	case c.state == doubtful:
		c.retry(now, proofLast)
		return output{}
	case c.state == present:
		// Another process has said hello, but cannot be reached. The session is
		// all there is; it is asked for again.
		c.retry(now, lastPause)
		return output{}
	}
	c.retry(now, lastPause)
	// Without a session before it a refusal proves nothing: the peer may never
	// have started, or a firewall may reject.
	return c.warn(now, r.outcome, fmt.Sprintf("no session with %s: %s (the timers alone would notice its death)", c.address, r.detail))
}

// met takes a process that has answered, and whose connection is now the session.
func (c *core) met(now time.Time, p process) output {
	before, same := c.state, p.boot == c.peer.boot
	if before == present && same {
		c.at = time.Time{}
		return output{} // asked in doubt of another process, and there is none
	}
	old := c.who()
	contradicted := same && !c.died.IsZero()
	c.enter(now, p)

	var out output
	switch {
	case contradicted:
		out.add(c.mistrust(now, "the same process of %s answers again", old))
	case before == absent:
	case same:
		// A reset that a stranger forged, or a process short of descriptors.
		out.add(c.publish(now, Lost, "the session with %s ended (%s), and the same process answers again", old, c.end))
	default:
		// The process that had the session is gone, and what it owned is swept
		// or runs out. Its successor begins as a Backup, as RFC 9568 section
		// 6.4.1 has it for all but the owner of an address, and so owns nothing
		// that a takeover could collide with.
		out.add(c.publish(now, Died, "restarted: another process of %s answers", c.who()))
	}
	out.add(c.publish(now, Connected, "session with %s", c.who()))
	return out
}

// refused judges a refusal that came after the end of a session.
func (c *core) refused(now time.Time, detail string) output {
	c.leave(now, refused)
	if c.distrust {
		return c.publish(now, Lost, "the session with %s ended (%s), then: %s; but such a proof was wrong before", c.who(), c.end, detail)
	}
	c.died = now
	return c.publish(now, Died, "the session with %s ended (%s), then: %s", c.who(), c.end, detail)
}

// ended takes the end of the present session.
func (c *core) ended(now time.Time, e ending) output {
	lived := now.Sub(c.since)
	if lived >= stableAfter {
		c.distrust = false
	}
	if c.hasty++; lived >= shortLived {
		c.hasty = 0
	}
	c.end = e.detail
	switch e.how {
	case endGoodbye:
		c.leave(now, refused) // which is to be expected now
		return c.publish(now, Goodbye, "%s left: %s", c.who(), e.detail)
	case endOther:
		// This end gave up a peer that makes no sense, or its kernel one that was
		// silent for long. Neither is the end of a process.
		c.leave(now, silent)
		return c.publish(now, Lost, "the session with %s ended (%s), and proves nothing", c.who(), e.detail)
	}
	c.doubt(now)
	return c.tick(now)
}

// greeted takes a process that has proven to be the peer on a connection of its
// own. It is met only when it answers here too: a hello is a hint, not a proof.
func (c *core) greeted(now time.Time, p process) output {
	var out output
	if !c.died.IsZero() && p.boot == c.peer.boot {
		if now.Sub(c.died) < settle {
			return output{} // its last words
		}
		out = c.mistrust(now, "the same process of %s called", c.who())
	}
	c.died = time.Time{}
	if c.state != absent && p.boot == c.peer.boot {
		return out // known, or asked already
	}
	// Half a session is left when a host vanished and came back: without this
	// hint it would be kept for ever.
	if c.state != doubtful {
		c.pause = firstPause
	}
	c.at = now
	out.add(c.tick(now))
	return out
}

// contradicted takes the word of the heartbeat that the peer lives.
func (c *core) contradicted(now time.Time) output {
	if c.died.IsZero() || now.Sub(c.died) < settle {
		return output{}
	}
	return c.mistrust(now, "%s was heard alive", c.who())
}

// mistrust takes it that a refusal was no proof: a firewall rejects on behalf
// of a host that lives.
func (c *core) mistrust(now time.Time, format string, args ...any) output {
	c.died, c.distrust = time.Time{}, true
	return c.publish(now, Distrusted, "%s after its death was taken as proven: refusals prove nothing until a session has lasted %s (hint: let TCP to %s through the firewall)",
		fmt.Sprintf(format, args...), stableAfter, c.address)
}

// failed takes a caller at the listener that could not prove to be the peer.
func (c *core) failed(now time.Time, detail string) output {
	return c.warn(now, rejected, detail)
}

// deaf takes it that nothing can be heard at the node's own address.
func (c *core) deaf(now time.Time, detail string) output {
	if c.warned.deaf {
		return output{}
	}
	c.warned.deaf = true
	return c.publish(now, Deaf, "%s: this node's own death would go unannounced (hint: the timers still serve; free the port)", detail)
}

// hearing takes it that the listener listens.
func (c *core) hearing() output {
	c.warned.deaf = false
	return output{}
}

// enter makes the connection with p the present session.
func (c *core) enter(now time.Time, p process) {
	if p.boot != c.peer.boot {
		c.hasty = 0 // a process that crashes again and again is dead at once each time
	}
	c.state, c.since, c.peer = present, now, p
	c.at, c.pause, c.died = time.Time{}, firstPause, time.Time{}
	c.warned.outcomes = [outcomes]bool{}
}

// doubt begins the search for the proof of a death.
func (c *core) doubt(now time.Time) {
	c.state, c.early = doubtful, c.dialing
	c.at, c.pause, c.until = now, proofFirst, now.Add(doubtFor)
	if c.hasty > 1 {
		wait := min(firstPause<<min(c.hasty-2, 6), lastPause)
		c.at, c.until = now.Add(wait), c.until.Add(wait)
	}
}

// leave ends the session for good. The outcome that is to be expected of the
// next dials is no news.
func (c *core) leave(now time.Time, expected outcome) {
	c.state, c.early = absent, false
	c.pause = firstPause
	c.retry(now, lastPause)
	c.warned.outcomes[expected] = true
}

// retry wants another dial after the pause, and a longer pause after that.
func (c *core) retry(now time.Time, longest time.Duration) {
	c.at = now.Add(c.pause)
	c.pause = min(2*c.pause, longest)
}

// warn says once in each absence of a session why there is none.
func (c *core) warn(now time.Time, o outcome, evidence string) output {
	if c.warned.outcomes[o] {
		return output{}
	}
	kind := Unreachable
	if o == rejected {
		if last := c.warned.rejected; !last.IsZero() && now.Sub(last) < rejectedEvery {
			return output{}
		}
		kind, c.warned.rejected = Rejected, now
	}
	c.warned.outcomes[o] = true
	return c.publish(now, kind, "%s", evidence)
}

func (c *core) publish(now time.Time, k Kind, format string, args ...any) output {
	return output{events: []Event{{Kind: k, At: now, Evidence: fmt.Sprintf(format, args...)}}}
}

// who names the process of the newest session.
func (c *core) who() string { return fmt.Sprintf("%q at %s", c.peer.node, c.address) }

// add lets b follow a.
func (a *output) add(b output) {
	a.dial = max(a.dial, b.dial)
	a.events = append(a.events, b.events...)
}
