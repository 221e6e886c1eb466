package supervisor

import (
	"context"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/tandemlb/tandem/internal/admin"
	"github.com/tandemlb/tandem/internal/certs"
	"github.com/tandemlb/tandem/internal/config"
	"github.com/tandemlb/tandem/internal/ipc"
)

// loadFiles reads the files that cfg names. before, which may be nil, is the config in
// force.
func loadFiles(cfg *config.Config, before *loaded) (*certs.Keeper, error) {
	var old *certs.Keeper
	if before != nil {
		old = before.files
	}
	return certs.Load(cfg.Proxy, time.Now(), old)
}

// runFiles has the worker take the files that change, until ctx ends.
func (s *Supervisor) runFiles(ctx context.Context) {
	certs.Run(ctx, func() *certs.Keeper { return s.current().files }, func(k *certs.Keeper) { s.takeFiles(ctx, k) })
}

// takeFiles takes up what k has found. A config that has taken the place of k's meanwhile
// has read its files itself.
func (s *Supervisor) takeFiles(ctx context.Context, k *certs.Keeper) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if s.stopping || s.current().files != k {
		return
	}
	now := time.Now()
	c := k.Take(now)
	events := c.Events
	if len(c.Files) > 0 {
		s.generation++
		// The worker may refuse what was found good here.
		if err := s.worker.renew(context.WithoutCancel(ctx), ipc.Files{Generation: s.generation, Files: c.Files}); err != nil {
			events = k.Refused(c, err, time.Now())
		}
	}
	for _, e := range events {
		s.history.Add(fileEvent(now, e))
		paths := zap.Strings("files", e.Paths)
		switch {
		case e.Back:
			s.o.Log.Info("refused files are again as they are in use", paths)
		case e.Err != nil:
			s.o.Log.Error("changed files are not taken up, the old ones stay in use", paths, zap.Error(e.Err))
		default:
			s.o.Log.Info("changed files taken up", paths)
		}
	}
	for _, n := range c.Notices {
		s.o.Log.Warn("certificates", zap.Stringer("notice", n))
	}
	for _, e := range noticeEvents(now, c.Notices) {
		s.history.Add(e)
	}
}

// noticeEvents tells of each file once, however many use it.
func noticeEvents(now time.Time, notices []certs.Notice) []admin.Event {
	var all []admin.Event
	for _, n := range notices {
		e := admin.Event{At: now, Kind: admin.CertificateEvent, Subject: n.Path, What: n.Text}
		if !slices.Contains(all, e) {
			all = append(all, e)
		}
	}
	return all
}

func fileEvent(now time.Time, e certs.Event) admin.Event {
	event := admin.Event{At: now, Kind: admin.CertificateEvent, Subject: strings.Join(e.Paths, " "), What: "changed, taken up"}
	switch {
	case e.Back:
		event.What = "again as they are in use"
	case e.Err != nil:
		event.What, event.Evidence = "changed, not taken up: the old ones stay in use", e.Err.Error()
	}
	return event
}

// certificates says for the API what there is to say of files.
func certificates(files certs.Status) admin.Certificates {
	st := admin.Certificates{Reloads: files.Reloads, Errors: files.Errors}
	for _, c := range files.Certificates {
		st.List = append(st.List, admin.Certificate{
			Listener: c.Listener, Pool: c.Pool, Path: c.Path, Subject: c.Subject, Names: c.Names,
			NotBefore: c.NotBefore, NotAfter: c.NotAfter, Issuer: c.Issuer, Serial: c.Serial, Key: c.Key,
			Fingerprint: c.Fingerprint, Warnings: c.Warnings,
		})
	}
	for _, l := range files.Lists {
		st.Revoked = append(st.Revoked, admin.RevokedList{Listener: l.Listener, Path: l.Path, Issuer: l.Issuer, Revoked: l.Revoked, Next: l.Next})
	}
	for _, p := range files.Problems {
		st.Problems = append(st.Problems, admin.FilesProblem{Paths: p.Paths, Error: p.Err.Error(), Since: p.Since})
	}
	for _, n := range files.Notices {
		st.Warnings = append(st.Warnings, n.String())
	}
	return st
}
