package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"
)

// The metrics API, metrics.k8s.io, is that of metrics-server, which runs in a real node and asks its kubelet. All has
// the names that it has in other clusters.
const (
	metricsServerVersion = "v0.9.0" // of the module
	metricsService       = "metrics-server"
	metricsServicePort   = 443
	metricsPort          = 4443 // of the node
	metricsPortName      = "https"
	metricsHost          = metricsService + "." + metav1.NamespaceSystem + ".svc" // in its certificate
	metricsUser          = "devcluster:metrics-server"
	metricsRole          = "system:metrics-server"
	metricsReaderRole    = "system:aggregated-metrics-reader"
	metricsGroup         = "metrics.k8s.io"
	metricsVersion       = "v1beta1"
	metricsAPI           = metricsVersion + "." + metricsGroup
)

// createMetricsService makes the Service of the metrics API, and the rights that metrics-server needs.
func (c *cluster) createMetricsService(ctx context.Context) error {
	_, err := c.client.CoreV1().Services(metav1.NamespaceSystem).Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: metricsService, Labels: map[string]string{"k8s-app": metricsService}},
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{
			Name: metricsPortName, Port: metricsServicePort, TargetPort: intstr.FromInt32(metricsPort), Protocol: corev1.ProtocolTCP,
		}}},
	}, metav1.CreateOptions{})
	if err := ignoreExisting(err); err != nil {
		return fmt.Errorf("create service %s: %w", metricsService, err)
	}
	return errors.Join(c.createMetricsRoles(ctx), c.bindMetricsRoles(ctx))
}

// createMetricsRoles makes metrics-server's own role and that of those who ask it, as its manifests do.
func (c *cluster) createMetricsRoles(ctx context.Context) error {
	aggregate := map[string]string{}
	for _, role := range []string{"view", "edit", "admin"} {
		aggregate["rbac.authorization.k8s.io/aggregate-to-"+role] = "true"
	}
	read := []string{"get", "list", "watch"}
	for _, role := range []*rbacv1.ClusterRole{
		{
			ObjectMeta: metav1.ObjectMeta{Name: metricsReaderRole, Labels: aggregate},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{metricsGroup}, Resources: []string{"pods", "nodes"}, Verbs: read}},
		},
		{
			ObjectMeta: metav1.ObjectMeta{Name: metricsRole},
			Rules: []rbacv1.PolicyRule{
				{APIGroups: []string{""}, Resources: []string{"pods", "nodes"}, Verbs: read},
				{APIGroups: []string{""}, Resources: []string{"nodes/metrics"}, Verbs: []string{"get"}},
			},
		},
	} {
		_, err := c.client.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{})
		if err := ignoreExisting(err); err != nil {
			return fmt.Errorf("create role %s: %w", role.Name, err)
		}
	}
	return nil
}

// bindMetricsRoles lets metrics-server measure, ask who its callers are, and what they may.
func (c *cluster) bindMetricsRoles(ctx context.Context) error {
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: metricsUser}}
	for binding, role := range map[string]string{metricsRole: metricsRole, metricsService + ":system:auth-delegator": "system:auth-delegator"} {
		_, err := c.client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: binding},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   subjects,
		}, metav1.CreateOptions{})
		if err := ignoreExisting(err); err != nil {
			return fmt.Errorf("bind role %s: %w", role, err)
		}
	}
	_, err := c.client.RbacV1().RoleBindings(metav1.NamespaceSystem).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: metricsService + "-auth-reader"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "extension-apiserver-authentication-reader"},
		Subjects:   subjects,
	}, metav1.CreateOptions{})
	if err := ignoreExisting(err); err != nil {
		return fmt.Errorf("bind role: %w", err)
	}
	return nil
}

// metricsSlice says that a node serves the metrics API.
func metricsSlice(node net.IP) *discoveryv1.EndpointSlice {
	return nodeSlice(metav1.NamespaceSystem, metricsService, node,
		discoveryv1.EndpointPort{Name: new(metricsPortName), Port: new(int32(metricsPort)), Protocol: new(corev1.ProtocolTCP)})
}

// forgetMetrics takes back what the last start registered: while an API is registered and nobody serves it, no
// namespace is deleted.
func (c *cluster) forgetMetrics(ctx context.Context) error {
	config, err := restConfig(c.admin)
	if err != nil {
		return err
	}
	client, err := aggregator.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	err = client.ApiregistrationV1().APIServices().Delete(ctx, metricsAPI, metav1.DeleteOptions{})
	if err := ignoreMissing(err); err != nil {
		return fmt.Errorf("delete API service %s: %w", metricsAPI, err)
	}
	return nil
}

// metricsRegistration is how the API server knows who serves the metrics API, and that it is that.
func metricsRegistration(ca []byte) *apiregistrationv1.APIService {
	return &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: metricsAPI},
		Spec: apiregistrationv1.APIServiceSpec{
			Group:                metricsGroup,
			Version:              metricsVersion,
			GroupPriorityMinimum: 100,
			VersionPriority:      100,
			CABundle:             ca,
			Service: &apiregistrationv1.ServiceReference{
				Namespace: metav1.NamespaceSystem, Name: metricsService, Port: new(int32(metricsServicePort)),
			},
		},
	}
}
