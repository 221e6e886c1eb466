package flow

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// SpliceFrom is how much of a body must be left for it to go through a pipe in the
// kernel instead of a buffer.
const SpliceFrom = 64 << 10

// A splice whose receiver is too slow is final: what was in the pipe is lost. So no
// more is begun than a receiver takes in time that is slow, and still alive: little
// at first, and more while it is not waited for.
const (
	LeastPart = SpliceFrom
	mostPart  = 1 << 20
)

// NextPart returns how much is to be spliced next, when the receiver of part was
// waited for, and at most allowed.
func NextPart(part int64, waited, allowed time.Duration) int64 {
	if waited > allowed/8 {
		return LeastPart
	}
	return min(2*part, mostPart)
}

// NoPipe reports whether a splice has failed for want of a descriptor, with nothing
// lost: neither side is to blame, and a copy needs none.
func NoPipe(err error) bool { return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) }

// Sides tells on which side a splice failed.
func Sides(err error) (from, to error) {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "write" {
		return nil, err
	}
	return err, nil
}
