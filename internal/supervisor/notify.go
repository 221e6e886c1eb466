package supervisor

import (
	"fmt"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// state is what the service manager is told (sd_notify(3)).
type state string

const (
	ready    state = daemon.SdNotifyReady
	stopping state = daemon.SdNotifyStopping
	watchdog state = daemon.SdNotifyWatchdog
	// reloading must carry the time at which the reload began.
	reloading state = daemon.SdNotifyReloading
)

// notify tells the service manager, if there is one. It has no answer.
func notify(s state) {
	text := string(s)
	if s == reloading {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err == nil {
			text += fmt.Sprintf("\nMONOTONIC_USEC=%d", now.Nano()/1000)
		}
	}
	_, _ = daemon.SdNotify(false, text)
}

// watchdogInterval is how often the service manager wants to hear that the node
// is alive, with a margin; the node looks at itself as often in any case.
func watchdogInterval() time.Duration {
	if d, err := daemon.SdWatchdogEnabled(false); err == nil && d > 0 {
		return min(d/3, time.Second)
	}
	return time.Second
}
