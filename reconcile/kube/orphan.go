package kube

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"bayplan.dev/schema"
)

// deleteOrphans ends Pods that nothing will end: somebody has deleted their
// Deployment and told the cluster to leave its ReplicaSet. Those of a container
// that is kept stay, for its next Deployment takes them over.
func (c *Cluster) deleteOrphans(ctx context.Context, sp space, kept map[key]bool) (int, error) {
	deleted := 0
	seen := map[string]bool{}
	for k, r := range sp.objects.all() {
		pod, ok := r.detail.(podDetail)
		deployment := key{kindDeployment, r.container}
		if !ok || k.kind != kindPod || r.deleting || pod.maker == "" || seen[pod.maker] || kept[deployment] || sp.objects.get(deployment) != nil {
			continue
		}
		seen[pod.maker] = true
		gone, err := c.deleteMaker(ctx, sp.id, pod)
		if err != nil {
			return deleted, err
		}
		if gone {
			deleted++
		}
	}
	return deleted, nil
}

// deleteMaker deletes a ReplicaSet if it has the owner annotation, which it
// inherits from its Deployment.
func (c *Cluster) deleteMaker(ctx context.Context, id schema.SpaceID, pod podDetail) (bool, error) {
	at := place{kind: replicaSets, namespace: id.Namespace(), name: pod.maker}
	found, err := c.client.read(ctx, at)
	switch {
	case apierrors.IsNotFound(err):
		return false, nil
	case err != nil:
		return false, during("read", at, c.client.wrap(err))
	case found.UID != pod.makerUID || found.DeletionTimestamp != nil || len(found.OwnerReferences) > 0 ||
		c.shape.fleet.space(found.Annotations[schema.AnnotationOwner]) != id.String():
		// On its way already, another's, or not ours.
		return false, nil
	}
	return c.deleted(ctx, at, &record{uid: found.UID}, metav1.Preconditions{UID: &found.UID}, metav1.DeletePropagationBackground)
}
