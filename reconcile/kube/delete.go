package kube

import (
	"context"
	"log/slog"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// deleted tells the API server to delete exactly the object of the record.
// It says no when there is none, or another in its place, which isn't ours to delete.
func (c *Cluster) deleted(ctx context.Context, p place, r *record, only metav1.Preconditions, dependents metav1.DeletionPropagation) (bool, error) {
	err := c.client.delete(ctx, p, only, dependents)
	switch {
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return false, nil
	case err != nil:
		return false, during("delete", p, c.client.wrap(err))
	}
	c.view.leaving(p, r)
	c.log.InfoContext(ctx, "object deleted", slog.String("object", p.String()))
	return true, nil
}
