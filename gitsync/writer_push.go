package gitsync

import (
	"context"
	"log/slog"
	"time"
)

func (w *Writer) push(ctx context.Context, g *group) error {
	ctx, cancel := finishing(ctx, w.options.Timeout)
	defer cancel()
	return w.send(ctx, move{w.repo.remote.Branch, g.base.Revision, g.tip.Revision}, g.objects())
}

func (w *Writer) send(ctx context.Context, m move, objects []object) error {
	if w.repo.Local() {
		return w.repo.pushLocal(ctx, m, objects)
	}
	return w.repo.pushRemote(ctx, m, objects)
}

// finishing outlives ctx for a while: a push that is on its way is better ended
// than cut.
func finishing(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(finishWait, cancel) })
	return bounded, func() {
		stop()
		cancel()
	}
}

// landed answers the callers, who can read what they wrote from then on.
func (w *Writer) landed(ctx context.Context, g *group) {
	objects := g.objects()
	if !w.repo.Local() {
		w.repo.store.remember(objects)
		if err := w.repo.keep(g.base.Revision, g.tip.Revision, objects); err != nil {
			w.options.Log.DebugContext(ctx, "push isn't in the cache, it will be fetched", slog.Any("err", err))
		}
	}
	if err := w.keys.learn(ctx, g.tip.Revision); err != nil {
		w.options.Log.DebugContext(ctx, "keys of a push will be read later", slog.Any("err", err))
	}
	g.resolve()
	w.options.Pushed.Poke()
	if w.swept != nil {
		w.swept()
	}
	w.options.Log.InfoContext(ctx, "changes are committed", slog.String("revision", string(g.tip.Revision)), slog.Int("changes", len(g.members)))
}
