package main

import (
	"context"
	"fmt"
	"net"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	dnsServiceIP = "10.43.0.10"
	dnsService   = "kube-dns"
	// policyUser may read what network policies are about.
	policyUser = "devcluster:network-policy"
	manager    = "devcluster"
)

// createNodeServices makes what a real node's Pods find in every cluster: the Services of its DNS and of the metrics
// API. Who watches the network policies gets the right to.
func (c *cluster) createNodeServices(ctx context.Context) error {
	if c.node != realKind {
		return nil
	}
	if err := c.createDNSService(ctx); err != nil {
		return fmt.Errorf("create service %s: %w", dnsService, err)
	}
	if err := c.createMetricsService(ctx); err != nil {
		return err
	}
	_, err := c.client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: policyUser},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: policyUser}},
	}, metav1.CreateOptions{})
	if err := ignoreExisting(err); err != nil {
		return fmt.Errorf("bind role: %w", err)
	}
	return nil
}

// createDNSService looks first: to create it a second time would fail because its address is taken.
func (c *cluster) createDNSService(ctx context.Context) error {
	services := c.client.CoreV1().Services(metav1.NamespaceSystem)
	_, err := services.Get(ctx, dnsService, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	_, err = services.Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: dnsService, Labels: map[string]string{"k8s-app": dnsService}},
		Spec: corev1.ServiceSpec{ClusterIP: dnsServiceIP, Ports: []corev1.ServicePort{
			{Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP},
			{Name: "dns-tcp", Port: 53, Protocol: corev1.ProtocolTCP},
		}},
	}, metav1.CreateOptions{})
	return err
}

// publish tells under which address of a node its DNS, the API server and the metrics API are reached: their Services
// have no Pods.
func publish(ctx context.Context, client kubernetes.Interface, node net.IP, port int32) error {
	for _, slice := range []*discoveryv1.EndpointSlice{
		nodeSlice(metav1.NamespaceSystem, dnsService, node,
			discoveryv1.EndpointPort{Name: new("dns"), Port: new(int32(53)), Protocol: new(corev1.ProtocolUDP)},
			discoveryv1.EndpointPort{Name: new("dns-tcp"), Port: new(int32(53)), Protocol: new(corev1.ProtocolTCP)}),
		nodeSlice(metav1.NamespaceDefault, "kubernetes", node,
			discoveryv1.EndpointPort{Name: new("https"), Port: new(port), Protocol: new(corev1.ProtocolTCP)}),
		metricsSlice(node),
	} {
		slices := client.DiscoveryV1().EndpointSlices(slice.Namespace)
		_, err := slices.Create(ctx, slice, metav1.CreateOptions{})
		if ignoreExisting(err) == nil && err != nil {
			_, err = slices.Update(ctx, slice, metav1.UpdateOptions{})
		}
		if err != nil {
			return fmt.Errorf("publish %s: %w", slice.Name, err)
		}
	}
	return nil
}

func nodeSlice(namespace, service string, node net.IP, ports ...discoveryv1.EndpointPort) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: service,
			Labels: map[string]string{discoveryv1.LabelServiceName: service, discoveryv1.LabelManagedBy: manager},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{node.String()}, Conditions: discoveryv1.EndpointConditions{Ready: new(true)}}},
		Ports:       ports,
	}
}
