package review

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"bayplan.dev/schema"
)

// grant is one thing that a NetworkPolicy allows: its Pods, a peer, a port. A
// nil peer is everybody, a nil port all ports.
type grant struct {
	policy string
	pods   metav1.LabelSelector
	peer   *networkingv1.NetworkPolicyPeer
	port   *networkingv1.NetworkPolicyPort
}

// rules are what the policies of a space add up to in one direction.
type rules struct {
	grants []grant
	// closed are the Pods to which nothing is open but the grants.
	closed []metav1.LabelSelector
}

// network tells what Pods of the space as a whole may reach that they couldn't,
// and who may reach them. The policies of single containers follow their ports,
// which hosts tell of.
func (r *spaceReview) network(at schema.Position) []Caution {
	if !slices.ContainsFunc(r.objects, func(p pair) bool { return p.any().GetKind() == "NetworkPolicy" }) || r.was == nil {
		return nil
	}
	var found []Caution
	for _, way := range []struct {
		direction networkingv1.PolicyType
		caution   string
		verb      string
	}{
		{networkingv1.PolicyTypeEgress, EgressWidened, "Pods may connect to "},
		{networkingv1.PolicyTypeIngress, IngressWidened, "Pods may be reached by "},
	} {
		before, after := rulesOf(r.before, way.direction), rulesOf(r.after, way.direction)
		if wider := after.beyond(before); len(wider) > 0 {
			found = append(found, warn(way.caution, at, way.verb+some(wider, reasonsShown)))
		}
	}
	return found
}

// security tells whether the namespace is held to less than before.
func (r *spaceReview) security(at schema.Position) []Caution {
	const enforce = "pod-security.kubernetes.io/enforce"
	for _, p := range r.objects {
		if p.any().GetKind() != "Namespace" || p.before == nil || p.after == nil {
			continue
		}
		was, now := p.before.GetLabels()[enforce], p.after.GetLabels()[enforce]
		if was == "restricted" && now != was || was == "baseline" && now != was && now != "restricted" {
			return []Caution{warn(PodSecurityRelaxed, at, "its Pods are held to "+quoted(now)+" and not to "+was+" any more")}
		}
	}
	return nil
}

// rulesOf reads the policies among the objects that aren't a single container's.
func rulesOf(objects []*unstructured.Unstructured, direction networkingv1.PolicyType) rules {
	var all rules
	for _, o := range objects {
		if o.GetKind() != "NetworkPolicy" || o.GetLabels()[schema.LabelContainer] != "" {
			continue
		}
		policy := &networkingv1.NetworkPolicy{}
		if runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, policy) != nil {
			continue // the gate has read it; what it passed can be read
		}
		if !slices.Contains(policy.Spec.PolicyTypes, direction) {
			continue
		}
		all.closed = append(all.closed, policy.Spec.PodSelector)
		for _, rule := range rulesIn(policy, direction) {
			all.grants = append(all.grants, rule.grants(policy)...)
		}
	}
	return all
}

// rule is one rule of a policy, whatever its direction.
type rule struct {
	peers []networkingv1.NetworkPolicyPeer
	ports []networkingv1.NetworkPolicyPort
}

func rulesIn(policy *networkingv1.NetworkPolicy, direction networkingv1.PolicyType) []rule {
	var list []rule
	if direction == networkingv1.PolicyTypeEgress {
		for _, e := range policy.Spec.Egress {
			list = append(list, rule{e.To, e.Ports})
		}
		return list
	}
	for _, i := range policy.Spec.Ingress {
		list = append(list, rule{i.From, i.Ports})
	}
	return list
}

// grants takes a rule apart; no peers means everybody, no ports all of them.
func (r rule) grants(policy *networkingv1.NetworkPolicy) []grant {
	peers := []*networkingv1.NetworkPolicyPeer{nil}
	if len(r.peers) > 0 {
		peers = nil
		for i := range r.peers {
			peers = append(peers, &r.peers[i])
		}
	}
	ports := []*networkingv1.NetworkPolicyPort{nil}
	if len(r.ports) > 0 {
		ports = nil
		for i := range r.ports {
			ports = append(ports, &r.ports[i])
		}
	}
	var list []grant
	for _, peer := range peers {
		for _, port := range ports {
			list = append(list, grant{policy.Name, policy.Spec.PodSelector, peer, port})
		}
	}
	return list
}

// beyond lists what these rules allow and the others don't.
func (r rules) beyond(before rules) []string {
	var wider []string
	for _, pods := range before.closed {
		closed := func(s metav1.LabelSelector) bool { return selects(s, pods) }
		if !slices.ContainsFunc(r.closed, closed) {
			wider = append(wider, "everything, because no policy closes them")
		}
	}
	for _, g := range r.grants {
		if !slices.ContainsFunc(before.grants, func(old grant) bool { return old.covers(g) }) {
			wider = append(wider, g.opened(before.grants)...)
		}
	}
	slices.Sort(wider)
	return slices.Compact(wider)
}

// opened names what the grant adds to those before: the ranges that one of them
// left out, or else the whole of it.
func (g grant) opened(before []grant) []string {
	for _, old := range before {
		if g.peer == nil || g.peer.IPBlock == nil || old.peer == nil || old.peer.IPBlock == nil || old.peer.IPBlock.CIDR != g.peer.IPBlock.CIDR {
			continue
		}
		bare := networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: g.peer.IPBlock.CIDR}}
		if !(grant{old.policy, old.pods, &bare, old.port}).covers(g) {
			continue
		}
		var ranges []string
		for _, except := range without(old.peer.IPBlock.Except, g.peer.IPBlock.Except) {
			ranges = append(ranges, except+", which was left out (policy "+g.policy+")")
		}
		return ranges
	}
	return []string{g.String()}
}

// covers says whether the grant allows all that another one does. It may say no
// where several grants together would: that is a caution too many, never one too few.
func (g grant) covers(other grant) bool {
	return selects(g.pods, other.pods) && portCovers(g.port, other.port) && peerCovers(g.peer, other.peer)
}

// selects says whether a selector selects all that another one does.
func selects(s, other metav1.LabelSelector) bool {
	return len(s.MatchLabels)+len(s.MatchExpressions) == 0 || equality.Semantic.DeepEqual(s, other)
}

func portCovers(p, other *networkingv1.NetworkPolicyPort) bool {
	return p == nil || other != nil && equality.Semantic.DeepEqual(p, other)
}

func peerCovers(p, other *networkingv1.NetworkPolicyPeer) bool {
	switch {
	case p == nil:
		return true
	case other == nil:
		return false
	case p.IPBlock != nil && other.IPBlock != nil:
		return blockCovers(p.IPBlock, other.IPBlock)
	}
	return equality.Semantic.DeepEqual(p, other)
}

// blockCovers says whether all addresses of a block are among those of another:
// what this one leaves out the other must leave out or not have at all.
func blockCovers(b, other *networkingv1.IPBlock) bool {
	outer, err := netip.ParsePrefix(b.CIDR)
	if err != nil {
		return false
	}
	inner, err := netip.ParsePrefix(other.CIDR)
	if err != nil || !contains(outer, inner) {
		return false
	}
	for _, except := range b.Except {
		hole, err := netip.ParsePrefix(except)
		if err != nil {
			return false
		}
		if hole.Overlaps(inner) && !slices.ContainsFunc(other.Except, func(s string) bool {
			same, err := netip.ParsePrefix(s)
			return err == nil && contains(same, hole)
		}) {
			return false
		}
	}
	return true
}

func contains(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Overlaps(inner)
}

// String is the grant in words, such as "203.0.113.0/24, port TCP 443 (policy egress-internet)".
func (g grant) String() string {
	text := "everybody"
	if g.peer != nil {
		text = peerText(g.peer)
	}
	if g.port != nil && g.port.Port != nil {
		text += ", port"
		if g.port.Protocol != nil {
			text += " " + string(*g.port.Protocol)
		}
		text += " " + g.port.Port.String()
		if g.port.EndPort != nil {
			text += "-" + strconv.Itoa(int(*g.port.EndPort))
		}
	}
	return text + " (policy " + g.policy + ")"
}

func peerText(p *networkingv1.NetworkPolicyPeer) string {
	if p.IPBlock != nil {
		text := p.IPBlock.CIDR
		if n := len(p.IPBlock.Except); n > 0 {
			text += " except " + plural(n, "range")
		}
		return text
	}
	var parts []string
	if p.NamespaceSelector != nil {
		parts = append(parts, "namespaces "+metav1.FormatLabelSelector(p.NamespaceSelector))
	}
	if p.PodSelector != nil {
		parts = append(parts, "Pods "+metav1.FormatLabelSelector(p.PodSelector))
	}
	return strings.Join(parts, ", ")
}
