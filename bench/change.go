package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"bayplan.dev/schema"
)

// changed is how one size took its changes.
type changed struct {
	containers int
	seen       samples
}

// change pushes commits that change one container each, one after the other.
func (b *bench) change(ctx context.Context, g *ground) ([]row, error) {
	var seen, began samples
	m, err := g.meter(ctx, func() error {
		for i := range b.pushes {
			id := containerOf(i * 7919 % g.containers()) // a prime, so that every push meets another
			point, err := g.changeOne(ctx, id, fmt.Sprintf("registry.example.com/app:1.1.%d", i))
			if err != nil {
				return err
			}
			seen, began = append(seen, point.sinceSeen), append(began, point.sinceBegan)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	b.changes = append(b.changes, changed{g.containers(), seen})
	p50, p99 := seen.quantile(.5), seen.quantile(.99)
	return []row{{
		fmt.Sprintf("1 of %d containers changed: push seen → applied", g.containers()), "p50 ≤ 150 ms, p99 ≤ 500 ms",
		fmt.Sprintf("%s; from the start of git push p50 %s; requests: %s; %s CPU a push", seen, millis(began.quantile(.5)),
			m.requests, millis(m.cpu/time.Duration(b.pushes))),
		"", judge(p50 <= 150*time.Millisecond && p99 <= 500*time.Millisecond),
	}}, nil
}

// changeOne moves one container to the image. Synced must mean that the
// cluster has it.
func (g *ground) changeOne(ctx context.Context, id schema.ContainerID, image string) (samplePoint, error) {
	if err := g.clone.write(id, image, schema.StateStopped); err != nil {
		return samplePoint{}, err
	}
	_, point, err := g.push(ctx, "Move "+id.String()+" to "+image)
	if err != nil {
		return point, err
	}
	d, err := g.cluster.client.AppsV1().Deployments(id.Space.Namespace()).Get(ctx, id.Name, metav1.GetOptions{})
	if err != nil {
		return point, err
	}
	if got := d.Spec.Template.Spec.Containers[0].Image; got != image {
		return point, fmt.Errorf("the stream says synced, but %s runs %s, not %s", id, got, image)
	}
	return point, nil
}

// compareChanges holds the largest size against the smallest.
func (b *bench) compareChanges() {
	if len(b.changes) < 2 {
		return
	}
	small, large := b.changes[0], b.changes[len(b.changes)-1]
	ratio := float64(large.seen.quantile(.5)) / float64(max(small.seen.quantile(.5), 1))
	b.report.add(row{
		fmt.Sprintf("1 of %d changed, against 1 of %d", large.containers, small.containers), "≤ 1.5 ×",
		fmt.Sprintf("p50 %s against %s", millis(large.seen.quantile(.5)), millis(small.seen.quantile(.5))),
		fmt.Sprintf("%.2f", ratio), judge(ratio <= 1.5),
	})
}
