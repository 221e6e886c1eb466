package worker

import (
	"maps"
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/internal/ipc"
	"github.com/tandemlb/tandem/proxy"
)

// renew takes changed files of the config in force, and says what came of it.
func (w *worker) renew(f ipc.Files) {
	applied := ipc.Applied{Generation: f.Generation}
	if err := w.refresh(f.Files); err != nil {
		applied.Error = err.Error()
		w.log.Warn("files refused", zap.Error(err))
	} else {
		w.log.Info("files taken", zap.Int("count", len(f.Files)))
	}
	w.out.put(ipc.FromWorker{Applied: &applied})
}

// refresh makes what depends on changed files of the config in force anew. On an error
// all is as it was. Without a config there is nothing to do: the first one comes with
// all files.
func (w *worker) refresh(changed proxy.Files) error {
	if w.config.Generation == 0 {
		return nil
	}
	c := w.config
	c.Files = maps.Clone(c.Files)
	if c.Files == nil {
		c.Files = proxy.Files{}
	}
	maps.Copy(c.Files, changed)
	return w.apply(c, time.Now())
}
