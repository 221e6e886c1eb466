package certs

import (
	"context"
	"time"
)

// every is how often files are looked at: by their times alone, unless those have
// changed. A notification of the kernel would not come for a file of another host, nor
// tell when all files that belong together are there.
const every = 2 * time.Second

// Run looks at the files of the keeper that current returns, until ctx ends, and calls
// changed when its Take has something to do. It does not wait for a file that cannot be
// read to an end (a server of files that is gone): such a look ends with the process.
func Run(ctx context.Context, current func() *Keeper, changed func(*Keeper)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		k := current()
		foundC := make(chan bool, 1)
		go func() { foundC <- k.Look(time.Now()) }()
		select {
		case <-ctx.Done():
			return
		case due := <-foundC:
			if due {
				changed(k)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
