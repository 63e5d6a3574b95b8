package main

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// simulated is the name of all that only looks real: nodes (with a number), the storage class, the ingress class.
	simulated      = "simulated"
	simulatedLabel = "bayplan.dev/simulated"
	// localClass is the storage class of a real node: volumes are folders of the data directory.
	localClass = "local"
)

// createDefaults makes what a new cluster has: simulated nodes or room for the real one, a storage class and an
// ingress class.
func (c *cluster) createDefaults(ctx context.Context) error {
	if err := c.forgetOtherKind(ctx); err != nil {
		return err
	}
	for i := range c.simulatedNodes() {
		node := simulatedNode(i)
		_, err := c.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
		if err := ignoreExisting(err); err != nil {
			return fmt.Errorf("create node %s: %w", node.Name, err)
		}
	}
	_, err := c.client.StorageV1().StorageClasses().Create(ctx, storageClass(c.node), metav1.CreateOptions{})
	if err := ignoreExisting(err); err != nil {
		return fmt.Errorf("create storage class: %w", err)
	}
	_, err = c.client.NetworkingV1().IngressClasses().Create(ctx, simulatedIngressClass(), metav1.CreateOptions{})
	if err := ignoreExisting(err); err != nil {
		return fmt.Errorf("create ingress class: %w", err)
	}
	return nil
}

// forgetOtherKind removes what the last start made for the other kind of node, which would hold Pods that never run,
// and what nobody serves yet.
func (c *cluster) forgetOtherKind(ctx context.Context) error {
	// The probe of a start that failed may still wait for a node that is no more.
	now := metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}
	if err := ignoreMissing(c.client.CoreV1().Pods(probeNamespace).Delete(ctx, probeName, now)); err != nil {
		return fmt.Errorf("delete the last start's probe pod: %w", err)
	}
	if err := c.forgetMetrics(ctx); err != nil {
		return err
	}
	if c.node == realKind {
		err := c.client.CoreV1().Nodes().DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: simulatedLabel})
		return errors.Join(err, c.forgetClass(ctx, simulatedKind))
	}
	err := c.client.CoreV1().Nodes().Delete(ctx, realNode, metav1.DeleteOptions{})
	return errors.Join(ignoreMissing(err), c.forgetClass(ctx, realKind))
}

func (c *cluster) forgetClass(ctx context.Context, kind nodeKind) error {
	return ignoreMissing(c.client.StorageV1().StorageClasses().Delete(ctx, storageClass(kind).Name, metav1.DeleteOptions{}))
}

func ignoreMissing(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func ignoreExisting(err error) error {
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

func simulatedNode(i int) *corev1.Node {
	name := fmt.Sprintf("%s-%d", simulated, i)
	capacity := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("1000"),
		corev1.ResourceMemory:           resource.MustParse("1Ti"),
		corev1.ResourceEphemeralStorage: resource.MustParse("10Ti"),
		corev1.ResourcePods:             resource.MustParse("100000"),
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: name,
			Labels: map[string]string{
				simulatedLabel:                      "true",
				"node-role.kubernetes.io/simulated": "", // the column ROLES of kubectl
				corev1.LabelHostname:                name,
				corev1.LabelOSStable:                "linux",
				corev1.LabelArchStable:              "amd64",
			},
			Annotations: map[string]string{kwokAnnotation: "fake"},
		},
		Status: corev1.NodeStatus{
			Capacity:    capacity,
			Allocatable: capacity,
			NodeInfo:    corev1.NodeSystemInfo{OSImage: simulated, OperatingSystem: "linux", Architecture: "amd64"},
		},
	}
}

func storageClass(kind nodeKind) *storagev1.StorageClass {
	name := simulated
	if kind == realKind {
		name = localClass
	}
	return &storagev1.StorageClass{
		ObjectMeta:           metav1.ObjectMeta{Name: name, Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}},
		Provisioner:          provisioner,
		ReclaimPolicy:        new(corev1.PersistentVolumeReclaimDelete),
		AllowVolumeExpansion: new(true),
		// As in most clusters, a claim waits for its first Pod.
		VolumeBindingMode: new(storagev1.VolumeBindingWaitForFirstConsumer),
	}
}

func simulatedIngressClass() *networkingv1.IngressClass {
	return &networkingv1.IngressClass{
		ObjectMeta: metav1.ObjectMeta{Name: simulated, Annotations: map[string]string{networkingv1.AnnotationIsDefaultIngressClass: "true"}},
		Spec:       networkingv1.IngressClassSpec{Controller: provisioner},
	}
}
