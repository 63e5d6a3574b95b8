package render

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"bayplan.dev/schema"
)

const (
	policyDefaultDeny = "default-deny"
	policySameSpace   = "same-space"
	policyDNS         = "egress-dns"
	policyInternet    = "egress-internet"
	// policyIngress ends the name of each container's own policy; no policy of
	// the space ends like that.
	policyIngress = "-ingress"

	portDNS = 53
)

// policies close the space and open what DESIGN promises: they add up, so what
// none of them allows is denied, in both directions.
func (b builder) policies() ([]object, error) {
	internet, err := internetPeers(b.platform.Network.BlockedCIDRs)
	if err != nil {
		return nil, err
	}
	policies := []object{
		b.policy(policyDefaultDeny, networkingv1.NetworkPolicySpec{PolicyTypes: bothWays()}),
		b.policy(policySameSpace, networkingv1.NetworkPolicySpec{
			PolicyTypes: bothWays(),
			Ingress:     []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{everyPod()}}},
			Egress:      []networkingv1.NetworkPolicyEgressRule{{To: []networkingv1.NetworkPolicyPeer{everyPod()}}},
		}),
		b.policy(policyDNS, egress(networkingv1.NetworkPolicyEgressRule{
			Ports: []networkingv1.NetworkPolicyPort{policyPort(corev1.ProtocolUDP, portDNS), policyPort(corev1.ProtocolTCP, portDNS)},
			To:    dnsPeers(b.platform.Network.ClusterDNS),
		})),
		b.policy(policyInternet, egress(networkingv1.NetworkPolicyEgressRule{To: internet})),
	}
	for _, c := range b.space.Containers {
		if ports := gatewayPorts(&c.Spec); len(ports) > 0 {
			policies = append(policies, b.containerPolicy(c, ports))
		}
	}
	return policies, nil
}

func (b builder) policy(name string, spec networkingv1.NetworkPolicySpec) object {
	return &networkingv1.NetworkPolicy{
		TypeMeta:   typeMeta("networking.k8s.io/v1", "NetworkPolicy"),
		ObjectMeta: b.meta(name),
		Spec:       spec,
	}
}

// containerPolicy lets the gateway, and nobody else, reach the ports.
func (b builder) containerPolicy(c *schema.Container, ports []networkingv1.NetworkPolicyPort) object {
	gateway := networkingv1.NetworkPolicyPeer{NamespaceSelector: namespaceNamed(b.platform.Network.GatewayNamespace)}
	return &networkingv1.NetworkPolicy{
		TypeMeta:   typeMeta("networking.k8s.io/v1", "NetworkPolicy"),
		ObjectMeta: b.containerMeta(c.ID.Name+policyIngress, c),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: selector(c)},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress: []networkingv1.NetworkPolicyIngressRule{{
				Ports: ports,
				From:  []networkingv1.NetworkPolicyPeer{gateway},
			}},
		},
	}
}

// gatewayPorts are those that something outside leads to, and for SSH port
// forwarding every TCP port that the container names.
func gatewayPorts(spec *schema.ContainerSpec) []networkingv1.NetworkPolicyPort {
	numbers := outsideTargets(spec)
	if spec.SSH != nil && spec.SSH.Enabled && spec.SSH.PortForwarding {
		for _, p := range spec.Ports {
			if cmp.Or(p.Protocol, corev1.ProtocolTCP) == corev1.ProtocolTCP {
				numbers = append(numbers, p.ContainerPort)
			}
		}
	}
	slices.Sort(numbers)
	var ports []networkingv1.NetworkPolicyPort
	for _, number := range slices.Compact(numbers) {
		ports = append(ports, policyPort(corev1.ProtocolTCP, number))
	}
	return ports
}

// dnsPeers has both selectors in one peer: two peers would mean "or", which is
// every Pod with that label in any namespace. An address stands for a resolver
// on the node, which no selector matches.
func dnsPeers(dns schema.ClusterDNS) []networkingv1.NetworkPolicyPeer {
	peers := []networkingv1.NetworkPolicyPeer{{
		NamespaceSelector: namespaceNamed(dns.Namespace),
		PodSelector:       &metav1.LabelSelector{MatchLabels: dns.PodLabels},
	}}
	if dns.Address != "" {
		peers = append(peers, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: single(dns.Address)}})
	}
	return peers
}

// egress allows one rule. A rule without peers would allow everybody, so it
// becomes no rule at all.
func egress(rule networkingv1.NetworkPolicyEgressRule) networkingv1.NetworkPolicySpec {
	spec := networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress}}
	if len(rule.To) > 0 {
		spec.Egress = []networkingv1.NetworkPolicyEgressRule{rule}
	}
	return spec
}

func bothWays() []networkingv1.PolicyType {
	return []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
}

func everyPod() networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{}}
}

// namespaceNamed selects by the label that the API server itself sets.
func namespaceNamed(name string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: name}}
}

func policyPort(protocol corev1.Protocol, number int32) networkingv1.NetworkPolicyPort {
	return networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: new(intstr.FromInt32(number))}
}
