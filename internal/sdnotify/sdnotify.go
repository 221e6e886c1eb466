// Package sdnotify tells the service manager how the node fares (sd_notify(3)). Without
// one, or with one that does not listen, nothing happens: there is never an answer.
package sdnotify

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// Ready says that the node serves, or that a reload is over.
func Ready() { send(daemon.SdNotifyReady) }

// Reloading says that a reload begins, and since when.
func Reloading() {
	var now unix.Timespec
	text := daemon.SdNotifyReloading
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err == nil {
		text += fmt.Sprintf("\nMONOTONIC_USEC=%d", now.Nano()/1000)
	}
	send(text)
}

// Stopping says that the node ends.
func Stopping() { send(daemon.SdNotifyStopping) }

// Alive says that the node is not to be started anew for want of life.
func Alive() { send(daemon.SdNotifyWatchdog) }

// Status says in a line what systemctl status shows.
func Status(line string) { send("STATUS=" + oneLine(line)) }

func send(state string) { _, _ = daemon.SdNotify(false, state) }

// longest is how many bytes of a status are told.
const longest = 400

// oneLine is text without what would end the message, or begin another.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	if len(text) <= longest {
		return text
	}
	end := longest
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "..."
}

// Interval is how often the service manager wants to hear that the node is alive,
// with a margin, but not more than most.
func Interval(most time.Duration) time.Duration {
	if d, err := daemon.SdWatchdogEnabled(false); err == nil && d > 0 {
		return min(d/3, most)
	}
	return most
}
