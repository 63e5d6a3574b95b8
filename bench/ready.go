package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"bayplan.dev/schema"
)

const (
	waves    = 5
	waveSize = 20
)

// ready starts some containers at a time and compares when the API server says
// that a Pod is ready with when the stream says that its container runs.
func (b *bench) ready(ctx context.Context, g *ground) ([]row, error) {
	var lags samples
	for wave := range waves {
		var ids []schema.ContainerID
		for i := range waveSize {
			if n := wave*waveSize + i; n < g.containers() {
				ids = append(ids, containerOf(n))
			}
		}
		if len(ids) == 0 {
			break
		}
		lag, err := g.startContainers(ctx, ids)
		if err != nil {
			return nil, err
		}
		lags = append(lags, lag...)
	}
	return []row{lagRow(fmt.Sprintf("API server says ready → WebSocket frame, %d containers, %d starting at a time", g.containers(), waveSize), lags)}, nil
}

func lagRow(what string, lags samples) row {
	return row{what, "p99 ≤ 200 ms", lags.String(), "", judge(len(lags) > 0 && lags.quantile(.99) <= 200*time.Millisecond)}
}

// startContainers pushes that they run, and returns how far the stream was
// behind the watch for each.
func (g *ground) startContainers(ctx context.Context, ids []schema.ContainerID) (samples, error) {
	for _, id := range ids {
		if err := g.clone.write(id, firstImage, schema.StateRunning); err != nil {
			return nil, err
		}
	}
	pods, err := watchPods(ctx, g.cluster)
	if err != nil {
		return nil, err
	}
	defer pods.stop()
	g.bayplan.stream.forget()
	if _, _, err := g.push(ctx, "Start some"); err != nil {
		return nil, err
	}
	if _, err := g.bayplan.stream.awaitPhase(ctx, ids, schema.PhaseRunning); err != nil {
		return nil, err
	}
	return g.lags(ctx, pods, ids)
}

// lags compares both clocks for each of the containers.
func (g *ground) lags(ctx context.Context, pods *podWatch, ids []schema.ContainerID) (samples, error) {
	var lags samples
	frames := g.bayplan.stream.runningSince()
	for _, id := range ids {
		said, err := pods.await(ctx, id)
		if err != nil {
			return nil, err
		}
		lags = append(lags, frames[id].Sub(said))
	}
	return lags, nil
}

// podWatch is a watch of our own that remembers when each Pod was first ready.
type podWatch struct {
	watch watch.Interface
	mu    sync.Mutex
	ready map[schema.ContainerID]time.Time
}

func watchPods(ctx context.Context, c *cluster) (*podWatch, error) {
	selector := schema.LabelManagedBy + "=" + schema.ManagedBy
	now, err := c.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{LabelSelector: selector, Limit: 1})
	if err != nil {
		return nil, err
	}
	w, err := c.client.CoreV1().Pods("").Watch(ctx, metav1.ListOptions{LabelSelector: selector, ResourceVersion: now.ResourceVersion})
	if err != nil {
		return nil, err
	}
	p := &podWatch{watch: w, ready: map[schema.ContainerID]time.Time{}}
	go func() {
		for event := range w.ResultChan() {
			p.take(event.Object, time.Now())
		}
	}()
	return p, nil
}

func (p *podWatch) take(o any, at time.Time) {
	pod, ok := o.(*corev1.Pod)
	if !ok || !podReady(pod) {
		return
	}
	id := schema.ContainerID{
		Space: schema.SpaceID{User: schema.User(pod.Labels[schema.LabelUser]), Name: pod.Labels[schema.LabelSpace]},
		Name:  pod.Labels[schema.LabelContainer],
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.ready[id]; !known {
		p.ready[id] = at
	}
}

func podReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// await returns when the container's Pod was first seen ready; the stream may
// have been faster than our own watch.
func (p *podWatch) await(ctx context.Context, id schema.ContainerID) (time.Time, error) {
	var at time.Time
	err := poll(ctx, 30*time.Second, 10*time.Millisecond, func() (bool, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		var ok bool
		at, ok = p.ready[id]
		return ok, nil
	})
	return at, err
}

func (p *podWatch) stop() { p.watch.Stop() }
