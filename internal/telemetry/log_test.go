package telemetry

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/zap"
)

func TestLoggerWritesJSONAtItsLevel(t *testing.T) {
	var out bytes.Buffer
	log, err := NewLogger(&out, "warn", "worker")
	if err != nil {
		t.Fatal(err)
	}
	log.Info("hidden")
	log.Warn("shown", zap.String("vip", "main"))
	log.Level.SetLevel(zap.InfoLevel)
	log.Info("shown too")
	log.Close()
	log.Info("too late")

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
	_, err := NewLogger(nil, "loud", "worker")
	if err == nil || err.Error() != `log level "loud": want debug, info, warn or error` {
		t.Errorf("got %v", err)
	}
}

// gate is a reader of the log that reads nothing until it is opened.
type gate struct {
	open chan struct{}
	mu   sync.Mutex
	text strings.Builder
}

func (g *gate) Write(b []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.Write(b)
}

func TestStuckLogStopsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		log, err := NewLogger(g, "info", "worker")
		if err != nil {
			t.Fatal(err)
		}
		for range 2 * maxWaiting {
			log.Info("line", Always())
		}
		t.Log("# it is read again: what could wait is there, the rest is counted")
		close(g.open)
		log.Close()
		lines := strings.Count(g.text.String(), `"msg":"line"`)
		if lines < maxWaiting || lines > maxWaiting+1 {
			t.Errorf("%d lines, want about %d", lines, maxWaiting)
		}
		if !strings.Contains(g.text.String(), `"msg":"log lines dropped: the log is not read fast enough","process":"worker","pid":`) {
			t.Errorf("the loss is not told:\n%s", g.text.String()[max(0, g.text.Len()-300):])
		}
	})
}

func TestCloseDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		log, err := NewLogger(g, "info", "worker")
		if err != nil {
			t.Fatal(err)
		}
		log.Info("line")
		log.Close()
		log.Close()
		close(g.open)
	})
}

func BenchmarkLog(b *testing.B) {
	log, err := NewLogger(io.Discard, "info", "worker")
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	for b.Loop() {
		log.Info("line", zap.String("vip", "main"))
	}
}
