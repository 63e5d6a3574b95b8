package main

import (
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestPolicyRules(t *testing.T) {
	_, pods, _ := net.ParseCIDR("10.42.7.0/24")
	pod := func(namespace, name, ip string) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": name}},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Ports: []corev1.ContainerPort{
				{Name: "http", ContainerPort: 8080, Protocol: corev1.ProtocolTCP},
			}}}},
			Status: corev1.PodStatus{PodIP: ip, Phase: corev1.PodRunning},
		}
	}
	over := pod("shop", "job", "10.42.7.9")
	over.Status.Phase = corev1.PodSucceeded
	everyPod := networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{}}
	port := func(protocol corev1.Protocol, number intstr.IntOrString) networkingv1.NetworkPolicyPort {
		return networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: &number}
	}
	policy := func(name string, spec networkingv1.NetworkPolicySpec) *networkingv1.NetworkPolicy {
		return &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Spec: spec}
	}
	v := view{
		podRange: pods, host: net.IPv4(10, 41, 7, 1),
		namespaces: []*corev1.Namespace{
			{ObjectMeta: metav1.ObjectMeta{Name: "gate", Labels: map[string]string{"kubernetes.io/metadata.name": "gate"}}},
			{ObjectMeta: metav1.ObjectMeta{Name: "shop"}},
		},
		pods: []*corev1.Pod{
			pod("shop", "web", "10.42.7.3"), pod("shop", "db", "10.42.7.2"), pod("gate", "in", "10.42.7.4"), pod("other", "x", "10.42.7.5"),
			over, pod("shop", "new", ""),
		},
		policies: []*networkingv1.NetworkPolicy{
			policy("deny", networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{inward, outward}}),
			policy("same", networkingv1.NetworkPolicySpec{
				PolicyTypes: []networkingv1.PolicyType{inward, outward},
				Ingress:     []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{everyPod}}},
				Egress:      []networkingv1.NetworkPolicyEgressRule{{To: []networkingv1.NetworkPolicyPeer{everyPod}}},
			}),
			policy("internet", networkingv1.NetworkPolicySpec{
				PolicyTypes: []networkingv1.PolicyType{outward},
				Egress: []networkingv1.NetworkPolicyEgressRule{{
					To: []networkingv1.NetworkPolicyPeer{
						{IPBlock: &networkingv1.IPBlock{CIDR: "0.0.0.0/0", Except: []string{"10.0.0.0/8", "127.0.0.0/8"}}},
						{IPBlock: &networkingv1.IPBlock{CIDR: "2000::/3"}},
					},
					Ports: []networkingv1.NetworkPolicyPort{port(corev1.ProtocolUDP, intstr.FromInt32(53)), {}},
				}},
			}),
			policy("web", networkingv1.NetworkPolicySpec{
				PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
				PolicyTypes: []networkingv1.PolicyType{inward},
				Ingress: []networkingv1.NetworkPolicyIngressRule{{
					From: []networkingv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{
						MatchLabels: map[string]string{"kubernetes.io/metadata.name": "gate"},
					}}},
					Ports: []networkingv1.NetworkPolicyPort{
						port(corev1.ProtocolTCP, intstr.FromString("http")),
						{Protocol: new(corev1.ProtocolTCP), Port: new(intstr.FromInt32(9000)), EndPort: new(int32(9010))},
					},
				}},
			}),
		},
	}
	want := `table ip network-policy
delete table ip network-policy
table ip network-policy {
	chain egress-10-42-7-2 {
		ip daddr 0.0.0.0/0 ip daddr != { 10.0.0.0/8, 127.0.0.0/8 } meta l4proto tcp return
		ip daddr 0.0.0.0/0 ip daddr != { 10.0.0.0/8, 127.0.0.0/8 } udp dport 53 return
		ip daddr 10.42.7.2 return
		ip daddr 10.42.7.3 return
		drop
	}
	chain ingress-10-42-7-2 {
		ip saddr 10.42.7.2 return
		ip saddr 10.42.7.3 return
		drop
	}
	chain egress-10-42-7-3 {
		ip daddr 0.0.0.0/0 ip daddr != { 10.0.0.0/8, 127.0.0.0/8 } meta l4proto tcp return
		ip daddr 0.0.0.0/0 ip daddr != { 10.0.0.0/8, 127.0.0.0/8 } udp dport 53 return
		ip daddr 10.42.7.2 return
		ip daddr 10.42.7.3 return
		drop
	}
	chain ingress-10-42-7-3 {
		ip saddr 10.42.7.2 return
		ip saddr 10.42.7.3 return
		ip saddr 10.42.7.4 tcp dport 8080 return
		ip saddr 10.42.7.4 tcp dport 9000-9010 return
		drop
	}
	chain forward {
		type filter hook forward priority filter
		ct state established,related accept
		ip saddr 10.41.7.1 accept
		ip saddr 10.42.7.0/24 ip saddr != { 10.42.7.2, 10.42.7.3, 10.42.7.4, 10.42.7.5 } drop
		ip daddr 10.42.7.0/24 ip daddr != { 10.42.7.2, 10.42.7.3, 10.42.7.4, 10.42.7.5 } drop
		ip saddr vmap { 10.42.7.2 : jump egress-10-42-7-2, 10.42.7.3 : jump egress-10-42-7-3 }
		ip daddr vmap { 10.42.7.2 : jump ingress-10-42-7-2, 10.42.7.3 : jump ingress-10-42-7-3 }
	}
	chain input {
		type filter hook input priority filter
		ct state established,related accept
		ip saddr 10.42.7.0/24 ip saddr != { 10.42.7.2, 10.42.7.3, 10.42.7.4, 10.42.7.5 } drop
		ip saddr vmap { 10.42.7.2 : jump egress-10-42-7-2, 10.42.7.3 : jump egress-10-42-7-3 }
	}
}
`
	if diff := cmp.Diff(want, v.rules()); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}
