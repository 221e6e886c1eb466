// Package telemetry builds what the processes report with.
package telemetry

import (
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Logger is a zap.Logger whose level can be changed, and that never waits for
// whoever reads the log. Lines that come too often are held back, and counted.
type Logger struct {
	*zap.Logger
	Level zap.AtomicLevel

	writer *writer
	limits *limits
}

// NewLogger returns a Logger that writes JSON lines to out, one Write each, from
// a goroutine of its own. The process is named where it is the Logger that speaks. The
// caller closes it.
func NewLogger(out io.Writer, level, process string) (*Logger, error) {
	parsed, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, fmt.Errorf("log level %q: want debug, info, warn or error", level)
	}
	l := &Logger{Level: zap.NewAtomicLevelAt(parsed), writer: newWriter(out, process)}
	cfg := zap.NewProductionEncoderConfig()
	cfg.TimeKey, cfg.NameKey = "time", ""
	cfg.EncodeTime = encodeTime
	cfg.EncodeDuration = zapcore.StringDurationEncoder
	core := newLimited(zapcore.NewCore(zapcore.NewJSONEncoder(cfg), zapcore.AddSync(l.writer), l.Level))
	l.Logger, l.limits = zap.New(core), core.limits
	return l, nil
}

// timeFormat is that of the access log, and finer: in UTC, all of one length, so that
// lines can be sorted as texts.
const timeFormat = "2006-01-02T15:04:05.000000Z"

func encodeTime(t time.Time, e zapcore.PrimitiveArrayEncoder) {
	e.AppendString(t.UTC().Format(timeFormat))
}

// As returns log with the keys that every line has: which process of which node says
// it. The node is empty where the config names none.
func As(log *zap.Logger, process, node string, pid int) *zap.Logger {
	fields := []zap.Field{zap.String("process", process)}
	if node != "" {
		fields = append(fields, zap.String("node", node))
	}
	return log.With(append(fields, zap.Int("pid", pid))...)
}

// Close writes what is waiting, for a second at most.
func (l *Logger) Close() {
	l.limits.close()
	l.writer.close()
}
