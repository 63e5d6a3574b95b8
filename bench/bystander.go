package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const bystander = "bystander"

// addBystander makes objects of somebody else, which no engine may touch.
// Controllers don't write to any of them.
func (c *cluster) addBystander(ctx context.Context) error {
	meta := metav1.ObjectMeta{Name: bystander, Labels: map[string]string{"app.kubernetes.io/managed-by": "somebody"}}
	namespace := &corev1.Namespace{ObjectMeta: meta}
	if _, err := c.client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
		return err
	}
	policy := &networkingv1.NetworkPolicy{ObjectMeta: meta, Spec: networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}}}
	if _, err := c.client.NetworkingV1().NetworkPolicies(bystander).Create(ctx, policy, metav1.CreateOptions{}); err != nil {
		return err
	}
	settings := &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"key": "value"}}
	if _, err := c.client.CoreV1().ConfigMaps(bystander).Create(ctx, settings, metav1.CreateOptions{}); err != nil {
		return err
	}
	versions, err := c.bystanderVersions(ctx)
	c.versions = versions
	return err
}

func (c *cluster) bystanderVersions(ctx context.Context) (map[string]string, error) {
	namespace, err := c.client.CoreV1().Namespaces().Get(ctx, bystander, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	policy, err := c.client.NetworkingV1().NetworkPolicies(bystander).Get(ctx, bystander, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	settings, err := c.client.CoreV1().ConfigMaps(bystander).Get(ctx, bystander, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"Namespace": namespace.ResourceVersion, "NetworkPolicy": policy.ResourceVersion, "ConfigMap": settings.ResourceVersion,
	}, nil
}

// checkBystander says what of it was touched.
func (c *cluster) checkBystander(ctx context.Context) error {
	now, err := c.bystanderVersions(ctx)
	if err != nil {
		return fmt.Errorf("somebody else's object: %w", err)
	}
	for what, version := range c.versions {
		if now[what] != version {
			return fmt.Errorf("somebody else's %s was touched", what)
		}
	}
	return nil
}
