package gitsync

import (
	"context"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	// packLimit is how many packs there may be before they are joined, where
	// gc.autoPackLimit doesn't say.
	packLimit = 50
	// collectEvery is how often what nobody can reach any more is sought.
	collectEvery = 24 * time.Hour
)

// collect joins packs after pushes, beside them and not within: whoever
// pushes doesn't wait for it.
func (h *Host) collect(ctx context.Context) error {
	daily := time.NewTicker(collectEvery)
	defer daily.Stop()
	for {
		tidy := h.join
		select {
		case <-ctx.Done():
			return nil
		case <-h.sweep:
		case <-daily.C:
			tidy = h.collectGarbage
		}
		if err := tidy(ctx); err != nil && ctx.Err() == nil {
			h.options.Log.WarnContext(ctx, "collecting garbage of the repository didn't work", slog.Any("err", err))
		}
	}
}

// join joins packs once there are many. Each is to hold twice as many objects
// as the next smaller ones together, so that there are few and a large one is
// seldom written again (git-repack(1), --geometric): a hundred thousand commits
// cost some ten writings of each object, not thousands. No object is dropped,
// so it doesn't matter which ones a push has brought that no branch holds yet.
// Whoever reads a pack that goes finds its objects in the new one.
func (h *Host) join(ctx context.Context) error {
	h.tidying.Lock()
	defer h.tidying.Unlock()
	packs, err := filepath.Glob(filepath.Join(h.dir(), "objects", "pack", "pack-*.pack"))
	if err != nil || len(packs) <= h.packLimit(ctx) {
		return err
	}
	_, err = h.git.run(ctx, h.dir(), nil, "-c", "pack.threads=1", "-c", "pack.windowMemory=64m",
		"repack", "--geometric=2", "-d", "-q")
	return err
}

// packLimit is the operator's, if there is one.
func (h *Host) packLimit(ctx context.Context) int {
	out, err := h.git.run(ctx, h.dir(), nil, "config", "--type=int", "gc.autoPackLimit")
	if n, bad := strconv.Atoi(strings.TrimSpace(out)); err == nil && bad == nil && n > 0 {
		return n
	}
	return packLimit
}

// collectGarbage has git drop what was in no branch for two weeks, as what a
// push leaves that lost a race.
func (h *Host) collectGarbage(ctx context.Context) error {
	h.tidying.Lock()
	defer h.tidying.Unlock()
	_, err := h.git.run(ctx, h.dir(), nil, "-c", "pack.threads=1", "-c", "pack.windowMemory=64m", "gc", "--quiet")
	return err
}
