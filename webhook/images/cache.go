package images

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"
)

const (
	// maxAnswers bounds the answers that are kept of catalogs and of tags.
	maxAnswers = 2000
	// atOnce is how many requests go to registries at the same time.
	atOnce = 8
)

// answer is what a registry says, or will have said.
type answer struct {
	done  chan struct{}
	until time.Time // good until then, once it is there

	names []string
	err   error
}

// wait returns the answer when it is there; on the end of ctx nothing.
func (a *answer) wait(ctx context.Context) ([]string, error) {
	select {
	case <-a.done:
		return a.names, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (a *answer) stale(now time.Time) bool {
	select {
	case <-a.done:
		return now.After(a.until)
	default:
		return false
	}
}

// ask returns the answer that is kept, or asks. Whoever comes while it is on
// its way waits for the same one, so the end of one call doesn't end it.
func (l *List) ask(ctx context.Context, kept map[string]*answer, key string, ask func(context.Context) ([]string, error)) *answer {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if a, ok := kept[key]; ok && !a.stale(now) {
		return a
	}
	if len(kept) >= maxAnswers {
		maps.DeleteFunc(kept, func(_ string, a *answer) bool { return a.stale(now) })
	}
	if len(kept) >= maxAnswers {
		for other := range kept { // any: all are asked for again as easily
			delete(kept, other)
			break
		}
	}
	a := &answer{done: make(chan struct{})}
	kept[key] = a
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.options.Timeout)
		defer cancel()
		select {
		case l.slots <- struct{}{}:
			a.names, a.err = ask(ctx)
			<-l.slots
		case <-ctx.Done():
			a.err = ctx.Err()
		}
		ttl := l.options.TTL
		if a.err != nil {
			ttl /= 10
			l.options.Log.WarnContext(ctx, "registry wasn't listed", slog.Any("err", a.err))
		}
		a.until = time.Now().Add(ttl)
		close(a.done)
	}()
	return a
}

// forget drops the catalogs of registries that aren't asked any more.
func (l *List) forget(registries []string) {
	_, all := l.options.Platform()
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.catalogs, func(registry string, _ *answer) bool {
		return !slices.Contains(all, registry) && !slices.Contains(registries, registry)
	})
}
