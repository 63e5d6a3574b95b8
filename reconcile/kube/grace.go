package kube

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"bayplan.dev/schema"
)

// putBack ends the grace period of a claim that is wanted again, which stays
// untouched otherwise. It says whether there was one.
func (c *Cluster) putBack(ctx context.Context, p place, r *record) (bool, error) {
	claim, ok := r.detail.(claimDetail)
	if !ok || claim.deleteAfter == 0 {
		return false, nil
	}
	if err := c.mark(ctx, p, r, nil); err != nil {
		return false, err
	}
	c.log.InfoContext(ctx, "claim put back", slog.String("object", p.String()))
	return true, nil
}

// mark sets the end of a claim's grace period, or removes it.
func (c *Cluster) mark(ctx context.Context, p place, r *record, end any) error {
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid":         r.uid,
		"annotations": map[string]any{schema.AnnotationDeleteAfter: end},
	}})
	if err != nil {
		return err
	}
	live, err := c.client.merge(ctx, p, body)
	if err != nil {
		return err
	}
	c.view.put(seen{kind: kindClaim, namespace: p.namespace, name: p.name, record: c.shape.record(p.kind, live, r, false)})
	return nil
}

// claims is what becomes of the claims that nothing wants any more.
type claims struct {
	// due may be deleted now.
	due []doomed
	// next is the end of the first grace period that is still open.
	next time.Time
	// waiting is true when some claims must stay for now.
	waiting bool
}

// grace sorts out claims: those of persistent volumes wait for the end of
// their grace period (promise 4), all wait for the last Pod that uses them.
func (c *Cluster) grace(ctx context.Context, sp space, unneeded []doomed, period time.Duration) (claims, error) {
	var result claims
	for _, d := range unneeded {
		claim, ok := d.record.detail.(claimDetail)
		if !ok {
			continue
		}
		switch end, err := c.graceEnd(ctx, d, claim, period); {
		case err != nil:
			return result, during("keep", d.place, c.client.wrap(err))
		case !c.client.passed(end):
			result.waiting = true
			if result.next.IsZero() || end.Before(result.next) {
				result.next = end
			}
		case sp.uses(d.place.name):
			result.waiting = true
		default:
			result.due = append(result.due, d)
		}
	}
	return result, nil
}

// graceEnd is when the claim may go; the zero time is always past.
func (c *Cluster) graceEnd(ctx context.Context, d doomed, claim claimDetail, period time.Duration) (time.Time, error) {
	switch {
	case !claim.persistent, d.record.deleting:
		return time.Time{}, nil
	case claim.deleteAfter != 0:
		return time.Unix(claim.deleteAfter, 0), nil
	case period <= 0:
		return time.Time{}, nil
	}
	// Whole seconds are what the annotation can hold.
	end := c.client.later(period).Truncate(time.Second).Add(time.Second)
	if err := c.mark(ctx, d.place, d.record, end.UTC().Format(time.RFC3339)); err != nil {
		if supplanted(err) {
			return end, nil
		}
		return time.Time{}, err
	}
	c.log.InfoContext(ctx, "claim is kept for its grace period", slog.String("object", d.place.String()), slog.Time("until", end))
	return end, nil
}

// expired reads the claim once more before it goes: another process may have
// put it back, and the answer brings the API server's time.
func (c *Cluster) expired(ctx context.Context, d doomed) (bool, error) {
	claim, ok := d.record.detail.(claimDetail)
	if !ok || !claim.persistent {
		return true, nil
	}
	live, err := c.client.read(ctx, d.place)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, during("read", d.place, c.client.wrap(err))
	}
	if live.UID != d.record.uid || c.shape.fleet.space(live.Annotations[schema.AnnotationOwner]) != d.record.owner {
		return false, nil
	}
	end := live.Annotations[schema.AnnotationDeleteAfter]
	if end == "" {
		// Never marked: the platform grants no grace.
		return claim.deleteAfter == 0, nil
	}
	t, err := time.Parse(time.RFC3339, end)
	return err == nil && c.client.passed(t), nil
}

// uses says whether a Pod of the space mounts the claim.
func (sp space) uses(claim string) bool {
	for k, r := range sp.objects.all() {
		if pod, ok := r.detail.(podDetail); ok && k.kind == kindPod {
			for name := range strings.SplitSeq(pod.claims, claimSeparator) {
				if name == claim && !pod.ended {
					return true
				}
			}
		}
	}
	return false
}

// deleteClaim deletes a claim whose time has come.
func (c *Cluster) deleteClaim(ctx context.Context, d doomed) (bool, error) {
	if ok, err := c.expired(ctx, d); !ok || err != nil {
		return false, err
	}
	return c.deleted(ctx, d.place, d.record, metav1.Preconditions{UID: &d.record.uid}, metav1.DeletePropagationBackground)
}
