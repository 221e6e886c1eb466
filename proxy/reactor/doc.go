// Package reactor runs connections written in plain blocking style on a few
// event loops, one per core.
//
// A [Loop] is one goroutine and one epoll instance. The code of a connection is
// a coroutine (iter.Pull) of its loop: where a call would block, it yields, and
// the loop runs another one. A switch costs a tenth of a microsecond, a
// connection that waits for its next request costs no coroutine and no buffer,
// and nothing that belongs to one loop needs a lock.
//
// What runs on a loop obeys four rules:
//
//   - Never block: no channel, no contended lock, no DNS, no file. [Loop.Await]
//     runs such things on an ordinary goroutine and parks only the caller.
//   - Never hold a lock across a call that may wait. Another coroutine of the
//     loop that takes it blocks the goroutine that would have to release it.
//   - Never call runtime.LockOSThread. runtime.Goexit (and so t.FailNow) ends
//     the connection, and is survived at the price of a new goroutine.
//   - A [Conn], a [Task] and all methods of a [Loop] but [Loop.Post] belong to
//     the loop: other goroutines reach them through Post.
//
// Methods that may wait say so, and panic outside a coroutine of their loop.
package reactor
