package kube

import (
	"context"
	"log/slog"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// round takes steps until every kind has been looked at, and says how many.
func (s *sweep) round(t *testing.T) int {
	t.Helper()
	steps := 0
	for begun := false; !begun || s.at > 0 || s.next != ""; begun = true {
		if _, err := s.step(t.Context()); err != nil {
			t.Fatal(err)
		}
		steps++
	}
	return steps
}

func (b *bench) sweep() *sweep {
	s := b.newSweep()
	s.lag = 100 * time.Millisecond
	return s
}

func TestSweepRepairsWhatWatchesMissed(t *testing.T) {
	b := newBench(t)
	b.mustApply(t, objects(t, b.id), revision1)
	b.settle(t)
	namespace := b.id.Namespace()
	of := func(kind kindName, name string) seen { return seen{kind: kind, namespace: namespace, name: name} }

	deployment, service := of(kindDeployment, "web"), of(kindService, "web")
	ghost := of(kindConfigMap, "ghost")
	b.view.mu.Lock()
	sp := b.view.spaces[namespace]
	service.record, deployment.record = sp.get(service), sp.get(deployment)
	sp.set(service, nil)
	old := *deployment.record
	old.version, old.intent, old.mark = old.version-1, digest{}, digest{1}
	sp.set(deployment, &old)
	sp.set(ghost, &record{uid: "1", version: 1, owner: b.id.String()})
	b.view.mu.Unlock()
	told := b.told.of(b.id)

	b.wire.reset()
	b.sweep().round(t)
	if got, want := testutil.ToFloat64(b.Metrics()), 3.0; got != want {
		t.Errorf("%v differences, want %v", got, want)
	}
	if got := b.view.known(service); got == nil || got.uid != service.record.uid {
		t.Errorf("the Service that was missed is %v", got)
	}
	if got := b.view.known(deployment); got == nil || got.version < deployment.record.version || got.intent != deployment.record.intent {
		t.Errorf("the change that was missed is %v, want %v", got, deployment.record)
	}
	if got := b.view.known(ghost); got != nil {
		t.Errorf("the ConfigMap that is gone is %v", got)
	}
	if got := b.told.of(b.id) - told; got != 3 {
		t.Errorf("told %d times of the space, want 3", got)
	}
	if writes := b.wire.writes(); len(writes) > 0 {
		t.Errorf("wrote %v, want nothing", writes)
	}
}

// A sweep that finds nothing sends one request a page and counts nothing.
func TestSweepFindsNothing(t *testing.T) {
	b := newBench(t)
	b.mustApply(t, objects(t, b.id), revision1)
	b.settle(t)
	b.wire.reset()
	steps := b.sweep().round(t)
	if got := len(b.wire.sent()); got != steps {
		t.Errorf("%d requests for %d pages: %v", got, steps, b.wire.sent())
	}
	if got := testutil.ToFloat64(b.Metrics()); got != 0 {
		t.Errorf("%v differences, want none", got)
	}
}

// The sweep looks at 1 % a minute, however large the cluster, and waits while
// something is written.
func TestSweepKeepsItsPace(t *testing.T) {
	for _, objects := range []int{1, 300, 24_000, 120_000} {
		t.Run(strconv.Itoa(objects), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &Cluster{client: &client{limit: newLimit()}, view: newView(Options{}), log: slog.New(slog.DiscardHandler)}
				sp := &space{}
				for i := range objects - 1 {
					sp.objects.set(key{kindService, strconv.Itoa(i)}, &record{})
				}
				c.view.spaces[""] = sp
				s := c.newSweep()
				looked, steps := 0, 0
				step := func(context.Context) (int, error) {
					n := min(s.limit(), objects)
					looked += n
					steps++
					return n, nil
				}
				during := func(d time.Duration) (int, int) {
					ctx, cancel := context.WithTimeout(t.Context(), d)
					defer cancel()
					looked, steps = 0, 0
					s.run(ctx, step)
					return looked, steps
				}
				if err := c.client.limit.acquire(t.Context()); err != nil {
					t.Fatal(err)
				}
				if _, n := during(time.Hour); n > 0 {
					t.Errorf("%d requests beside a write, want none", n)
				}
				c.client.limit.release()
				n, requests := during(10 * sweepRound)
				if n < 8*objects || n > 12*objects {
					t.Errorf("looked at %d of %d objects in ten rounds, want each ten times", n, objects)
				}
				if most := int(10 * sweepRound / (sweepPause * 3 / 4)); requests > most {
					t.Errorf("%d requests, want at most %d", requests, most)
				}
			})
		})
	}
}

// The API server lists "a-b" before "a", and so must we.
func TestPageOrder(t *testing.T) {
	p := page{after: position{"a-b", "x"}, to: position{"a", "m"}}
	got := map[position]bool{}
	want := map[position]bool{
		{"a-b", "w"}: false, {"a-b", "x"}: false, {"a-b", "y"}: true, {"a-c", "a"}: true, {"a", "m"}: true, {"a", "n"}: false, {"b", "a"}: false,
	}
	for at := range want {
		got[at] = p.within(at)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(position{})); diff != "" {
		t.Errorf("within (-want +got):\n%s", diff)
	}
	for namespace, want := range map[string]bool{"a": false, "a-b": false, "a-c": false, "a-a": true, "b": true} {
		if got := p.beside(namespace); got != want {
			t.Errorf("beside %s: %v, want %v", namespace, got, want)
		}
	}
}
