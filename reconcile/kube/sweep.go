package kube

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"

	"bayplan.dev/schema"
)

const (
	// sweepRound is how long it takes to look at everything once: 1 % a minute.
	sweepRound = 100 * time.Minute
	// sweepPause is the least time between two pages. With sweepPages it says
	// how large a page is, and with that how many objects are looked at a second at the most.
	sweepPause = 5 * time.Second
	sweepPages = int(sweepRound / sweepPause)
	// leastPage spares small clusters requests for single objects.
	leastPage = 20
	// sweepLag is how long a watch may be behind.
	sweepLag = 3 * time.Second
	// calm is how long nothing must have been written: who is busy sees enough.
	calm = 10 * time.Second
)

// sweep looks slowly through all that there is, page by page as metadata only,
// and compares it with what the watches have told. Watches don't miss anything;
// this is for the day when one does. It never runs beside writes, sends one
// request at a time, and repairs by reading what differs.
type sweep struct {
	*Cluster
	// at is the kind that is looked at, an index of watches.
	at int
	// next continues its list; empty at its beginning.
	next string
	// from is the last object of the page before.
	from position
	// lag is how long a watch may be behind before that counts as a difference.
	lag time.Duration
}

func (c *Cluster) newSweep() *sweep { return &sweep{Cluster: c, lag: sweepLag} }

// run takes a step now and then until ctx ends.
func (s *sweep) run(ctx context.Context, step func(context.Context) (int, error)) {
	pause := jittered(sweepPause)
	for sleep(ctx, pause) {
		pause = jittered(sweepPause)
		if !s.client.limit.idle(calm) {
			continue
		}
		n, err := step(ctx)
		if err != nil {
			// The next page is as good, and who reads the log hears of an API
			// server that doesn't answer from the watches.
			s.log.DebugContext(ctx, "sweep interrupted", slog.Any("err", err))
			continue
		}
		pause = max(pause, jittered(sweepRound*time.Duration(n)/time.Duration(max(s.view.count(), 1))))
	}
}

// jittered spreads what several processes do over half of their pause.
func jittered(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2+1) //nolint:gosec // spreading needs no secrecy
}

// sleep waits and says whether ctx still goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// step looks at one page and says how many objects were on it.
func (s *sweep) step(ctx context.Context) (int, error) {
	w := s.watches[s.at]
	p, err := s.page(ctx, w.kind)
	if err != nil {
		return 0, err
	}
	doubts := w.doubts(p)
	if len(doubts) > 0 {
		if !sleep(ctx, s.lag) {
			return 0, ctx.Err()
		}
		for _, at := range w.doubts(p) {
			if err := s.repair(ctx, w, at); err != nil {
				return 0, err
			}
		}
	}
	return len(p.seen), nil
}

// page reads the next page and moves on.
func (s *sweep) page(ctx context.Context, k kind) (page, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	list, err := s.client.metadata.Resource(k.gvr()).List(ctx, metav1.ListOptions{
		LabelSelector: k.selector(), Continue: s.next, Limit: int64(s.limit()),
	})
	if err != nil {
		s.again(err)
		return page{}, s.client.wrap(err)
	}
	p := page{after: s.from, to: s.from, last: list.Continue == "", of: make(map[position]metav1.PartialObjectMetadata, len(list.Items))}
	if p.version, err = strconv.ParseUint(list.ResourceVersion, 10, 64); err != nil {
		return page{}, schema.Errorf(schema.Internal, "list version %q: %w", list.ResourceVersion, err)
	}
	for _, o := range list.Items {
		at := position{o.Namespace, o.Name}
		p.seen, p.of[at] = append(p.seen, at), o
		p.to = at
	}
	s.next, s.from = list.Continue, p.to
	if p.last {
		s.at, s.from = (s.at+1)%len(s.watches), position{}
	}
	return p, nil
}

// again begins the kind anew, or goes on where it was: the API server forgets
// the state that a list began with after some minutes, and then offers a token
// for the rest as it is now. Each page is judged by itself, so that is as good.
func (s *sweep) again(err error) {
	status, ok := errors.AsType[*apierrors.StatusError](err)
	if ok && apierrors.IsResourceExpired(err) && status.ErrStatus.Continue != "" {
		s.next = status.ErrStatus.Continue
		return
	}
	s.next, s.from = "", position{}
}

// limit is how many objects a page has, so that a round takes its time.
func (s *sweep) limit() int {
	return min(max(s.view.count()/sweepPages, leastPage), listPage)
}

// doubts are the objects of the page of which the watch knows less than the
// page, or more.
func (w *watch) doubts(p page) []position {
	var doubts []position
	for _, at := range p.seen {
		o := p.of[at]
		s := seen{kind: w.kind.name(), namespace: at.namespace, name: at.name}
		if !w.view.holds(s) {
			continue
		}
		r := w.view.known(s)
		if r == nil || r.version < versionOf(&o) {
			doubts = append(doubts, at)
		}
	}
	for _, s := range w.view.between(w.kind, p) {
		if _, ok := p.of[s]; !ok {
			doubts = append(doubts, s)
		}
	}
	return doubts
}

// repair reads one object and makes it known. It counts as a difference only
// if that was news: the watch may have caught up meanwhile.
func (s *sweep) repair(ctx context.Context, w *watch, at position) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	// A list, because that is a right that watching comes with.
	list, err := s.client.typed[w.kind.gvk.GroupVersion()].Get().
		NamespaceIfScoped(at.namespace, !w.kind.cluster).Resource(w.kind.resource).Timeout(requestTimeout).
		VersionedParams(&metav1.ListOptions{LabelSelector: w.kind.selector(), FieldSelector: "metadata.name=" + at.name}, scheme.ParameterCodec).
		Do(ctx).Get()
	if err != nil {
		return s.client.wrap(err)
	}
	told, err := w.told(list, at)
	if err != nil {
		return err
	}
	known := w.view.known(told)
	gone := told.record.uid == ""
	switch {
	case gone && (known == nil || known.version > told.record.version):
		return nil
	case !gone && known != nil && known.version >= told.record.version:
		return nil
	case gone:
		w.view.remove(told)
	default:
		w.view.put(told)
	}
	s.differences.Inc()
	s.log.WarnContext(ctx, "watch has missed a change", slog.String("object", place{w.kind, at.namespace, at.name}.String()))
	return nil
}

// told is what the list says of the one object that it was asked for; without
// a uid there is none.
func (w *watch) told(list runtime.Object, at position) (seen, error) {
	items, err := meta.ExtractList(list)
	if err != nil {
		return seen{}, schema.Errorf(schema.Internal, "list %s: %w", w.kind.resource, err)
	}
	if len(items) > 0 {
		return w.reduce(items[0])
	}
	m, err := meta.ListAccessor(list)
	if err != nil {
		return seen{}, schema.Errorf(schema.Internal, "list %s: %w", w.kind.resource, err)
	}
	version, err := strconv.ParseUint(m.GetResourceVersion(), 10, 64)
	if err != nil {
		return seen{}, schema.Errorf(schema.Internal, "list %s: version %q: %w", w.kind.resource, m.GetResourceVersion(), err)
	}
	return seen{kind: w.kind.name(), namespace: at.namespace, name: at.name, record: &record{version: version}}, nil
}
