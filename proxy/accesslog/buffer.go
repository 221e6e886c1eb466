package accesslog

import "sync/atomic"

const (
	// batchSize is how many bytes are written at once when there are as many.
	batchSize = 32 << 10
	// maxBatches bounds the memory of a buffer, and so how long a writer may hang
	// before lines are dropped: 4 MiB, some 12000 lines.
	maxBatches = 128
)

// batch is a number of whole lines.
type batch struct {
	text  []byte
	lines int
	seq   uint64 // in the order in which its buffer began them
}

// Buffer takes the lines of one goroutine, which owns it. The lines of a buffer are
// written in their order.
type Buffer struct {
	log *Log

	// current holds the batch that is being filled, except while the owner does so:
	// it takes the batch out, appends, and puts it back. The writing goroutine takes
	// it out to write it, and puts nothing in. So neither waits for the other.
	current atomic.Pointer[batch]
	fullC   chan *batch // to be written
	freeC   chan *batch // were written

	// These are the owner's.

	made  int    // batches that exist
	seq   uint64 // of the newest batch
	due   uint32 // millionths of a line, see wanted
	stamp stamp
}

// Append logs e, if it belongs to the share that is logged. It never blocks, and
// keeps nothing of e.
func (b *Buffer) Append(e *Entry) {
	if !b.wanted(e) {
		return
	}
	into := b.take()
	if into == nil {
		b.log.dropped.Add(1)
		return
	}
	into.text = e.append(into.text, &b.stamp)
	into.lines++
	b.put(into)
}

// wanted reports whether e is logged. Of the requests in order those are chosen with
// which the sum of the shares reaches the next whole number: as many as are asked
// for, evenly.
func (b *Buffer) wanted(e *Entry) bool {
	share := b.log.share.Load()
	if share == 0 {
		return false
	}
	if b.due += share; b.due >= all {
		b.due -= all
		return true
	}
	return e.Failed()
}

// take returns a batch with room for a line, which is the caller's until put; or nil
// when all are waiting to be written.
func (b *Buffer) take() *batch {
	if current := b.current.Swap(nil); current != nil {
		return current
	}
	b.seq++
	var fresh *batch
	select {
	case fresh = <-b.freeC:
		fresh.text, fresh.lines = fresh.text[:0], 0
	default:
		if b.made == maxBatches {
			return nil
		}
		b.made++
		fresh = &batch{text: make([]byte, 0, batchSize+maxLine)}
	}
	fresh.seq = b.seq
	return fresh
}

// put takes the batch back from the owner: to be filled further, or to be written.
func (b *Buffer) put(filled *batch) {
	if len(filled.text) < batchSize {
		b.current.Store(filled)
		return
	}
	b.fullC <- filled // there is room for all that exist
	select {
	case b.log.wakeC <- struct{}{}:
	default: // it has been woken already
	}
}

// collect appends the batches that are full to batches, and when whole the one that
// is not as well, in their order. It is for the writing goroutine.
func (b *Buffer) collect(batches []*batch, whole bool) []*batch {
	var current *batch
	if whole {
		current = b.current.Swap(nil)
	}
	for {
		select {
		case full := <-b.fullC:
			// The owner may have filled later ones meanwhile.
			if current != nil && current.seq < full.seq {
				batches, current = append(batches, current), nil
			}
			batches = append(batches, full)
			continue
		default:
		}
		if current != nil {
			batches = append(batches, current)
		}
		return batches
	}
}

// recycle gives a batch that was written back to the owner.
func (b *Buffer) recycle(written *batch) { b.freeC <- written } // there is room for all that exist
