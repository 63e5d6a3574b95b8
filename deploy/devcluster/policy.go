package main

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// view is what network policies are about, at one moment. All Pods are on one node, whose first address for them is
// host: what comes from there may pass, as what comes from a Pod's own node always may.
type view struct {
	pods       []*corev1.Pod
	namespaces []*corev1.Namespace
	policies   []*networkingv1.NetworkPolicy
	podRange   *net.IPNet
	host       net.IP
}

const (
	outward = networkingv1.PolicyTypeEgress
	inward  = networkingv1.PolicyTypeIngress
)

// rules are the policies in the words of nft. A Pod that isn't known yet reaches nobody, and nobody reaches it: it may
// be one that policies will isolate.
func (v view) rules() string {
	pods := v.addressed()
	var known, out, in []string
	var chains strings.Builder
	for _, pod := range pods {
		known = append(known, pod.Status.PodIP)
		for _, direction := range []networkingv1.PolicyType{outward, inward} {
			policies := v.isolating(pod, direction)
			if len(policies) == 0 {
				continue
			}
			chain := strings.ToLower(string(direction)) + "-" + strings.ReplaceAll(pod.Status.PodIP, ".", "-")
			verdict := pod.Status.PodIP + " : jump " + chain
			if direction == outward {
				out = append(out, verdict)
			} else {
				in = append(in, verdict)
			}
			fmt.Fprintf(&chains, "\tchain %s {\n", chain)
			for _, rule := range v.chain(pod, direction, policies) {
				fmt.Fprintf(&chains, "\t\t%s\n", rule)
			}
			chains.WriteString("\t\tdrop\n\t}\n")
		}
	}
	var b strings.Builder
	b.WriteString("table ip network-policy\ndelete table ip network-policy\ntable ip network-policy {\n")
	b.WriteString(chains.String())
	b.WriteString("\tchain forward {\n\t\ttype filter hook forward priority filter\n\t\tct state established,related accept\n")
	fmt.Fprintf(&b, "\t\tip saddr %s accept\n", v.host)
	for _, side := range []string{"saddr", "daddr"} {
		fmt.Fprintf(&b, "\t\tip %s %s %sdrop\n", side, v.podRange, matchNone(side, known))
	}
	b.WriteString(verdicts("saddr", out) + verdicts("daddr", in) + "\t}\n")
	b.WriteString("\tchain input {\n\t\ttype filter hook input priority filter\n\t\tct state established,related accept\n")
	fmt.Fprintf(&b, "\t\tip saddr %s %sdrop\n", v.podRange, matchNone("saddr", known))
	b.WriteString(verdicts("saddr", out) + "\t}\n}\n")
	return b.String()
}

// addressed are the Pods that have an address, in its order: the same view makes the same rules.
func (v view) addressed() []*corev1.Pod {
	var pods []*corev1.Pod
	for _, pod := range v.pods {
		over := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
		if !over && pod.Status.PodIP != "" && !pod.Spec.HostNetwork {
			pods = append(pods, pod)
		}
	}
	slices.SortFunc(pods, func(a, b *corev1.Pod) int { return cmp.Compare(a.Status.PodIP, b.Status.PodIP) })
	return slices.CompactFunc(pods, func(a, b *corev1.Pod) bool { return a.Status.PodIP == b.Status.PodIP })
}

// isolating are the policies that close this direction of a Pod.
func (v view) isolating(pod *corev1.Pod, direction networkingv1.PolicyType) []*networkingv1.NetworkPolicy {
	var found []*networkingv1.NetworkPolicy
	for _, policy := range v.policies {
		if policy.Namespace == pod.Namespace && slices.Contains(policy.Spec.PolicyTypes, direction) && selects(&policy.Spec.PodSelector, pod.Labels) {
			found = append(found, policy)
		}
	}
	slices.SortFunc(found, func(a, b *networkingv1.NetworkPolicy) int { return cmp.Compare(a.Name, b.Name) })
	return found
}

// chain has a rule for each way in or out of a Pod that a policy opens.
func (v view) chain(pod *corev1.Pod, direction networkingv1.PolicyType, policies []*networkingv1.NetworkPolicy) []string {
	var rules []string
	for _, policy := range policies {
		if direction == outward {
			for _, rule := range policy.Spec.Egress {
				rules = append(rules, v.open(policy.Namespace, opening{"daddr", rule.To, rule.Ports, nil})...)
			}
			continue
		}
		for _, rule := range policy.Spec.Ingress {
			rules = append(rules, v.open(policy.Namespace, opening{"saddr", rule.From, rule.Ports, pod})...)
		}
	}
	slices.Sort(rules)
	return slices.Compact(rules)
}

// opening is one rule of a policy: which side of a packet is the peer, and on which Pod named ports are looked up, if
// it isn't the peer.
type opening struct {
	side  string
	peers []networkingv1.NetworkPolicyPeer
	ports []networkingv1.NetworkPolicyPort
	pod   *corev1.Pod
}

func (v view) open(namespace string, o opening) []string {
	if len(o.peers) == 0 {
		return o.rules("", o.pod)
	}
	var rules []string
	for _, peer := range o.peers {
		if peer.IPBlock != nil {
			if block := matchBlock(o.side, peer.IPBlock); block != "" {
				rules = append(rules, o.rules(block, o.pod)...)
			}
			continue
		}
		for _, pod := range v.peers(namespace, peer) {
			target := cmp.Or(o.pod, pod)
			rules = append(rules, o.rules(fmt.Sprintf("ip %s %s ", o.side, pod.Status.PodIP), target)...)
		}
	}
	return rules
}

// peers are the Pods that a peer selects, seen from a policy's namespace.
func (v view) peers(namespace string, peer networkingv1.NetworkPolicyPeer) []*corev1.Pod {
	var found []*corev1.Pod
	for _, pod := range v.addressed() {
		if peer.PodSelector != nil && !selects(peer.PodSelector, pod.Labels) {
			continue
		}
		if peer.NamespaceSelector == nil && pod.Namespace == namespace ||
			peer.NamespaceSelector != nil && v.namespaceMatches(peer.NamespaceSelector, pod.Namespace) {
			found = append(found, pod)
		}
	}
	return found
}

func (v view) namespaceMatches(selector *metav1.LabelSelector, name string) bool {
	return slices.ContainsFunc(v.namespaces, func(n *corev1.Namespace) bool { return n.Name == name && selects(selector, n.Labels) })
}

// rules are those for one peer: one for each port, or one for all.
func (o opening) rules(peer string, named *corev1.Pod) []string {
	if len(o.ports) == 0 {
		return []string{peer + "return"}
	}
	var rules []string
	for _, port := range o.ports {
		protocol := corev1.ProtocolTCP
		if port.Protocol != nil {
			protocol = *port.Protocol
		}
		p := strings.ToLower(string(protocol))
		switch {
		case port.Port == nil:
			rules = append(rules, fmt.Sprintf("%smeta l4proto %s return", peer, p))
		case port.Port.Type == intstr.String:
			if number := namedPort(named, protocol, port.Port.StrVal); number != 0 {
				rules = append(rules, fmt.Sprintf("%s%s dport %d return", peer, p, number))
			}
		case port.EndPort != nil:
			rules = append(rules, fmt.Sprintf("%s%s dport %d-%d return", peer, p, port.Port.IntVal, *port.EndPort))
		default:
			rules = append(rules, fmt.Sprintf("%s%s dport %d return", peer, p, port.Port.IntVal))
		}
	}
	return rules
}

func namedPort(pod *corev1.Pod, protocol corev1.Protocol, name string) int32 {
	if pod == nil {
		return 0
	}
	for _, c := range pod.Spec.Containers {
		for _, port := range c.Ports {
			if port.Name == name && port.Protocol == protocol {
				return port.ContainerPort
			}
		}
	}
	return 0
}

// matchBlock is empty for IPv6, which the cluster's network doesn't have.
func matchBlock(side string, block *networkingv1.IPBlock) string {
	if strings.Contains(block.CIDR, ":") {
		return ""
	}
	return fmt.Sprintf("ip %s %s %s", side, block.CIDR, matchNone(side, block.Except))
}

func matchNone(side string, of []string) string {
	if len(of) == 0 {
		return ""
	}
	return fmt.Sprintf("ip %s != { %s } ", side, strings.Join(of, ", "))
}

func verdicts(side string, of []string) string {
	if len(of) == 0 {
		return ""
	}
	return fmt.Sprintf("\t\tip %s vmap { %s }\n", side, strings.Join(of, ", "))
}

// selects is false for a selector that the API server would have refused.
func selects(selector *metav1.LabelSelector, of map[string]string) bool {
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && s.Matches(labels.Set(of))
}
