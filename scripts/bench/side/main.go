package side

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// Main is that of a bench: it runs until it is over, or interrupted, and ends the process
// with 1 when it fails.
func Main(name string, run func(context.Context) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(1)
	}
}
