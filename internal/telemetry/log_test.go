package telemetry

import (
	"bytes"
	"encoding/json"
	"testing"

	"go.uber.org/zap"
)

func TestLoggerWritesJSONAtItsLevel(t *testing.T) {
	var out bytes.Buffer
	log, level, err := NewLogger(&out, "warn")
	if err != nil {
		t.Fatal(err)
	}
	log.Info("hidden")
	log.Warn("shown", zap.String("vip", "main"))
	level.SetLevel(zap.InfoLevel)
	log.Info("shown too")

	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	if len(lines) != 2 {
		t.Fatalf("got %d lines, want 2:\n%s", len(lines), out.String())
	}
	var first map[string]any
	if err := json.Unmarshal(lines[0], &first); err != nil {
		t.Fatalf("line is not JSON: %v\n%s", err, lines[0])
	}
	if first["msg"] != "shown" || first["vip"] != "main" || first["level"] != "warn" {
		t.Errorf("got %v", first)
	}
}

func TestUnknownLevelIsRefused(t *testing.T) {
	_, _, err := NewLogger(nil, "loud")
	if err == nil || err.Error() != `log level "loud": want debug, info, warn or error` {
		t.Errorf("got %v", err)
	}
}
