package telemetry

import (
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// heldBackMessage is that of the line that tells of lines that were held back.
const heldBackMessage = "held back"

// always is the key of the field that keeps a line from being held back. It is not
// written.
const always = "always"

// Always returns a field that is not written: with it a line is never held back.
func Always() zap.Field { return zap.Field{Key: always, Type: zapcore.SkipType} }

// limited is a core that holds lines back which come too often. Those of level debug,
// which somebody asked for, it never does.
type limited struct {
	zapcore.Core
	limits *limits
}

// limits are shared by a core and those that were made from it.
type limits struct {
	mu     sync.Mutex
	kinds  limiter
	timer  *time.Timer // runs while something is held back
	closed bool
}

func newLimited(to zapcore.Core) *limited { return &limited{to, &limits{}} }

// With returns a core with more fields and the same limits.
func (c *limited) With(fields []zap.Field) zapcore.Core {
	return &limited{c.Core.With(fields), c.limits}
}

// Check adds the core to those that write the entry.
func (c *limited) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return to.AddCore(e, c)
	}
	return to
}

// Write writes the entry, or holds it back.
func (c *limited) Write(e zapcore.Entry, fields []zap.Field) error {
	k, free := kind{level: e.Level, message: e.Message}, e.Level == zapcore.DebugLevel
	for _, f := range fields {
		switch {
		case f.Key == always && f.Type == zapcore.SkipType:
			free = true
		case f.Key == "reason":
			k.reason = textOf(f)
		}
	}
	if !free && !c.limits.admit(time.Now(), k, c.Core) {
		return nil
	}
	return c.Core.Write(e, fields)
}

// textOf returns what a field says.
func textOf(f zap.Field) string {
	switch f.Type {
	case zapcore.StringType:
		return f.String
	case zapcore.StringerType, zapcore.ErrorType:
		return fmt.Sprint(f.Interface)
	}
	return ""
}

func (l *limits) admit(now time.Time, k kind, to zapcore.Core) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	pass := l.closed || l.kinds.admit(now, k, to)
	if !pass && l.timer == nil {
		l.timer = time.AfterFunc(l.kinds.next().Sub(now), l.tell)
	}
	return pass
}

// tell tells what was held back in the windows that have ended.
func (l *limits) tell() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	now := time.Now()
	write(now, l.kinds.over(now))
	l.timer = nil
	if next := l.kinds.next(); !next.IsZero() {
		l.timer = time.AfterFunc(next.Sub(now), l.tell)
	}
}

// close tells what was held back. From then on nothing is.
func (l *limits) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
	now := time.Now()
	write(now, l.kinds.over(now.Add(limitWindow)))
}

func write(now time.Time, all []heldBack) {
	for _, h := range all {
		fields := []zap.Field{zap.String("of", h.message), zap.Int("count", h.count), zap.Time("since", h.since)}
		if h.reason != "" {
			fields = append(fields, zap.String("reason", h.reason))
		}
		_ = h.to.Write(zapcore.Entry{Level: h.level, Time: now, Message: heldBackMessage}, fields) // there is nowhere to report it to
	}
}
