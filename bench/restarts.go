package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"bayplan.dev/schema"
)

const (
	// changers send changes side by side.
	changers = 16
	// lastPause is how far the last change is behind the others, so that nobody
	// who has it lacks one of them.
	lastPause = time.Second
)

// restarts changes the status of running containers without changing what they
// should be: it tells the API server, as a kubelet does, how often they have
// restarted. The number is a mark that every reader finds in the frame.
type restarts struct {
	*ground
	epoch time.Time
	pods  []string // by container

	mu     sync.Mutex
	marked int64
}

// newRestarts waits until all containers run.
func newRestarts(ctx context.Context, g *ground) (*restarts, error) {
	ids := make([]schema.ContainerID, g.containers())
	for i := range ids {
		ids[i] = containerOf(i)
	}
	if _, err := g.bayplan.stream.awaitPhase(ctx, ids, schema.PhaseRunning); err != nil {
		return nil, err
	}
	list, err := g.cluster.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{LabelSelector: schema.LabelManagedBy + "=" + schema.ManagedBy})
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, pod := range list.Items {
		names[pod.Namespace+"/"+pod.Labels[schema.LabelContainer]] = pod.Name
	}
	r := &restarts{ground: g, epoch: time.Now(), pods: make([]string, len(ids))}
	for i, id := range ids {
		if r.pods[i] = names[id.Space.Namespace()+"/"+id.Name]; r.pods[i] == "" {
			return nil, fmt.Errorf("%s runs without a Pod", id)
		}
	}
	return r, nil
}

// mark is the milliseconds since the epoch, and never the same twice.
func (r *restarts) mark() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.marked = max(r.marked+1, time.Since(r.epoch).Milliseconds())
	return r.marked
}

// run changes one container after the other, so many a second, and returns how
// long the API server took for each.
func (r *restarts) run(ctx context.Context, rate, changes int) (samples, error) {
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	took := make(samples, changes)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(changers)
	for i := range changes {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, group.Wait()
		}
		mark := r.mark()
		group.Go(func() error {
			start := time.Now()
			err := r.restart(ctx, i%len(r.pods), mark)
			took[i] = time.Since(start)
			return err
		})
	}
	return took, group.Wait()
}

// last makes one more change and returns its mark.
func (r *restarts) last(ctx context.Context) (int64, error) {
	if err := sleep(ctx, lastPause); err != nil {
		return 0, err
	}
	mark := r.mark()
	return mark, r.restart(ctx, 0, mark)
}

func (r *restarts) restart(ctx context.Context, i int, mark int64) error {
	patch := fmt.Appendf(nil, `[{"op":"replace","path":"/status/containerStatuses/0/restartCount","value":%d}]`, mark)
	_, err := r.cluster.client.CoreV1().Pods(containerOf(i).Space.Namespace()).
		Patch(ctx, r.pods[i], types.JSONPatchType, patch, metav1.PatchOptions{}, "status")
	return err
}
