package supervisor

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/internal/report"
)

// lookupTimeout bounds a look-up for the worker, which waits for as long.
const lookupTimeout = 5 * time.Second

// lookup tells the worker at conn the addresses of the host that it asks for, one look-up
// at a time. It must be one that its config names: a worker that was taken over is to ask
// this process for nothing else.
func (w *workerLink) lookup(ctx context.Context, conn *workerConn, asked <-chan ipc.Lookup) {
	for l := range asked {
		found := ipc.Found{Host: l.Host}
		w.mu.Lock()
		receiver := w.serving.config.Spec.Tracing.OTLP
		w.mu.Unlock()
		if u, err := url.Parse(receiver); err != nil || u.Hostname() != l.Host {
			found.Error = fmt.Sprintf("look up %q: the config does not name it", l.Host)
		} else {
			within, cancel := context.WithTimeout(ctx, lookupTimeout)
			found.Addresses, err = net.DefaultResolver.LookupNetIP(within, "ip", l.Host)
			cancel()
			found.Error = report.Text(err)
		}
		if err := conn.Send(ipc.ToWorker{Found: &found}); err != nil && ctx.Err() == nil {
			w.log.Debug("answer the worker", zap.Error(err))
		}
	}
}
