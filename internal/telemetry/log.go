// Package telemetry builds what the processes report with.
package telemetry

import (
	"fmt"
	"io"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Logger is a zap.Logger whose level can be changed, and that never waits for
// whoever reads the log.
type Logger struct {
	*zap.Logger
	Level zap.AtomicLevel

	writer *writer
}

// NewLogger returns a Logger that writes JSON lines to out, one Write each, from
// a goroutine of its own. The caller closes it.
func NewLogger(out io.Writer, level string) (*Logger, error) {
	parsed, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, fmt.Errorf("log level %q: want debug, info, warn or error", level)
	}
	l := &Logger{Level: zap.NewAtomicLevelAt(parsed), writer: newWriter(out)}
	cfg := zap.NewProductionEncoderConfig()
	cfg.TimeKey = "time"
	cfg.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	cfg.EncodeDuration = zapcore.StringDurationEncoder
	l.Logger = zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(cfg), zapcore.AddSync(l.writer), l.Level))
	return l, nil
}

// Close writes what is waiting, for a second at most.
func (l *Logger) Close() { l.writer.close() }
