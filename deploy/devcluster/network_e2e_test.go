//go:build e2e && linux

package main

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// testNetwork closes a namespace against another one, and opens it again.
func testNetwork(t *testing.T, up *running) {
	t.Helper()
	mine, theirs := newNamespace(t, up, nil), newNamespace(t, up, nil)
	server := shellPod("server", "httpd -f -p 8080")
	server.Labels = map[string]string{"app": "web"}
	up.create(t, mine, server)
	up.create(t, mine, shellPod("client", untilKilled))
	up.create(t, theirs, shellPod("stranger", untilKilled))
	_, err := up.client.CoreV1().Services(mine).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: corev1.ServiceSpec{
			Selector: server.Labels,
			Ports:    []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	reaches := func(namespace, pod, host, port string, want bool) {
		t.Helper()
		eventually(t, pod, func() error {
			_, errs, code := up.exec(t, namespace, pod, "nc", "-w", "1", host, port)
			if got := code == 0; got != want {
				return fmt.Errorf("reaches %s:%s: %t, want %t: %s", host, port, got, want, errs)
			}
			return nil
		})
	}
	name := "web." + mine + ".svc.cluster.local"
	reaches(mine, "client", "web", "80", true)
	reaches(theirs, "stranger", name, "80", true)
	reaches(theirs, "stranger", "kubernetes.default", "443", true)

	policies := up.client.NetworkingV1().NetworkPolicies(mine)
	everyPod := networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{}}
	_, err = policies.Create(t.Context(), &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "private"},
		Spec: networkingv1.NetworkPolicySpec{
			PolicyTypes: []networkingv1.PolicyType{inward, outward},
			Ingress:     []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{everyPod}}},
			Egress: []networkingv1.NetworkPolicyEgressRule{
				{To: []networkingv1.NetworkPolicyPeer{everyPod}},
				{
					To: []networkingv1.NetworkPolicyPeer{{
						NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: metav1.NamespaceSystem}},
						PodSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{"k8s-app": dnsService}},
					}},
					Ports: []networkingv1.NetworkPolicyPort{{Protocol: new(corev1.ProtocolUDP), Port: new(intstr.FromInt32(53))}},
				},
			},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	reaches(theirs, "stranger", name, "80", false)
	reaches(mine, "client", "web", "80", true)
	reaches(mine, "client", "kubernetes.default", "443", false)

	if err := policies.Delete(t.Context(), "private", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	reaches(theirs, "stranger", name, "80", true)
	reaches(mine, "client", "kubernetes.default", "443", true)
}
