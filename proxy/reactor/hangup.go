package reactor

// watcher wants to know when a connection that it watches is of no use any more.
type watcher interface {
	hangUp()  // it is; the watch ends
	unwatch() // another one has taken the watch over
}

// WatchHangup makes waits in c end with ErrHangup once other is closed, or its peer
// has closed it or its sending side: nobody may be left who wants the answer. It
// also ends a wait that is due later, and so it costs nothing but two stores. The
// hangup is reported once; the next wait goes on regardless, for an owner who
// accepts half-closed clients.
//
// Both are connections of the same loop. A connection is watched by one other at
// most, and the watch ends when one of them is closed, or with nil.
func (c *Conn) WatchHangup(other *Conn) {
	if c.watched != nil {
		c.watched.watcher = nil
	}
	c.watched = other
	c.flags &^= hangup
	if other == nil {
		return
	}
	if other.loop != c.loop {
		panic("reactor: WatchHangup of a connection of another loop")
	}
	if other.watcher != nil && other.watcher != watcher(c) {
		other.watcher.unwatch()
	}
	other.watcher = c
	if other.ended() {
		c.flags |= hangup
	}
}

// unwatch implements watcher.
func (c *Conn) unwatch() { c.WatchHangup(nil) }

// hangUp notes that the watched connection was closed by its peer.
func (c *Conn) hangUp() {
	c.flags |= hangup
	c.reader.wake()
	c.writer.wake()
	c.watched.watcher = nil
	c.watched = nil
}

// tookHangup reports a hangup, once.
func (c *Conn) tookHangup() bool {
	if c.flags&hangup == 0 {
		return false
	}
	c.flags &^= hangup
	return true
}
