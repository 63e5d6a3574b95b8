package kube

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// deploymentDetail is what is kept of a Deployment.
type deploymentDetail struct {
	replicas int32
	// current is true when the controller has seen the newest spec and no Pod
	// of an older one is left. kstatus would ask for availability besides,
	// which is the Pod's to say.
	current  bool
	reason   string
	message  string
	selector digest
}

func deploymentDetailOf(o object) any {
	d, ok := o.(*appsv1.Deployment)
	if !ok {
		return nil
	}
	detail := deploymentDetail{replicas: 1, selector: selectorDigest(d)}
	if d.Spec.Replicas != nil {
		detail.replicas = *d.Spec.Replicas
	}
	status := d.Status
	detail.current = status.ObservedGeneration >= d.Generation &&
		status.Replicas == status.UpdatedReplicas && status.Replicas <= detail.replicas
	for _, c := range status.Conditions {
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			detail.reason, detail.message = shared(c.Reason), c.Message
		}
	}
	return detail
}
