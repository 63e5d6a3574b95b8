package render_test

import (
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	klabels "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"bayplan.dev/render"
	"bayplan.dev/schema"
)

// endpoint is a Pod, or an address without one.
type endpoint struct {
	namespace string
	labels    map[string]string
	address   string
}

// flow is one attempt to reach somebody.
type flow struct {
	from, to endpoint
	protocol corev1.Protocol
	port     int32
}

func container(space, name string) endpoint {
	return endpoint{namespace: "compute-" + space, labels: map[string]string{schema.LabelContainer: name}, address: "10.244.0.9"}
}

func address(a string) endpoint { return endpoint{address: a} }

// allows evaluates the policies as Kubernetes says: no policy for a Pod and a
// direction allows everything, else one rule of any of them has to allow it.
func allows(t *testing.T, policies []networkingv1.NetworkPolicy, f flow) bool {
	t.Helper()
	out, in := true, true
	for _, p := range policies {
		for _, direction := range p.Spec.PolicyTypes {
			out = out && (direction != networkingv1.PolicyTypeEgress || !selects(t, &p, f.from))
			in = in && (direction != networkingv1.PolicyTypeIngress || !selects(t, &p, f.to))
		}
	}
	for _, p := range policies {
		for _, rule := range p.Spec.Egress {
			out = out || selects(t, &p, f.from) && opens(f, rule.Ports) && matches(t, p.Namespace, rule.To, f.to)
		}
		for _, rule := range p.Spec.Ingress {
			in = in || selects(t, &p, f.to) && opens(f, rule.Ports) && matches(t, p.Namespace, rule.From, f.from)
		}
	}
	return out && in
}

func selects(t *testing.T, p *networkingv1.NetworkPolicy, e endpoint) bool {
	t.Helper()
	return e.namespace == p.Namespace && has(t, &p.Spec.PodSelector, e.labels)
}

func has(t *testing.T, s *metav1.LabelSelector, set map[string]string) bool {
	t.Helper()
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		t.Fatal(err)
	}
	return selector.Matches(klabels.Set(set))
}

func opens(f flow, ports []networkingv1.NetworkPolicyPort) bool {
	return len(ports) == 0 || slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool {
		return *p.Protocol == f.protocol && p.Port.IntVal == f.port
	})
}

func matches(t *testing.T, own string, peers []networkingv1.NetworkPolicyPeer, e endpoint) bool {
	t.Helper()
	if len(peers) == 0 {
		return true
	}
	for _, peer := range peers {
		if block := peer.IPBlock; block != nil {
			inside := within(block.CIDR, e.address)
			for _, except := range block.Except {
				inside = inside && !within(except, e.address)
			}
			if inside {
				return true
			}
			continue
		}
		namespace := e.namespace == own
		if peer.NamespaceSelector != nil {
			namespace = e.namespace != "" && has(t, peer.NamespaceSelector, map[string]string{corev1.LabelMetadataName: e.namespace})
		}
		if namespace && (peer.PodSelector == nil || has(t, peer.PodSelector, e.labels)) {
			return true
		}
	}
	return false
}

func within(cidr, address string) bool {
	return netip.MustParsePrefix(cidr).Contains(netip.MustParseAddr(address))
}

func policiesOf(t *testing.T, f *schema.Fleet) []networkingv1.NetworkPolicy {
	t.Helper()
	objects, err := render.New().Space(f, only(t, f))
	if err != nil {
		t.Fatal(err)
	}
	var policies []networkingv1.NetworkPolicy
	for _, o := range objects {
		if o.GetKind() != "NetworkPolicy" {
			continue
		}
		var p networkingv1.NetworkPolicy
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &p); err != nil {
			t.Fatal(err)
		}
		policies = append(policies, p)
	}
	return policies
}

// TestNetworkAsPromised asks who reaches whom.
func TestNetworkAsPromised(t *testing.T) {
	const tcp, udp = corev1.ProtocolTCP, corev1.ProtocolUDP
	policies := policiesOf(t, everything())
	api, db := container("alice--shop", "api"), container("alice--shop", "db")
	gateway := endpoint{namespace: "bayplan-system", address: "10.244.0.2"}
	dns := endpoint{namespace: "kube-system", labels: map[string]string{"k8s-app": "kube-dns"}, address: "10.96.0.10"}
	for _, tt := range []struct {
		name string
		flow flow
		want bool
	}{
		{"same space", flow{api, db, tcp, 5432}, true},
		{"same space back", flow{db, api, udp, 9999}, true},
		{"another space", flow{api, container("bobby--shop", "api"), tcp, 80}, false},
		{"another space of the same user", flow{api, container("alice--other", "api"), tcp, 80}, false},
		{"from another space", flow{container("bobby--shop", "api"), api, tcp, 8080}, false},
		{"metadata", flow{api, address("169.254.169.254"), tcp, 80}, false},
		{"metadata over IPv6", flow{api, address("fd00:ec2::254"), tcp, 80}, false},
		{"node or Pod network", flow{api, address("10.1.2.3"), tcp, 10250}, false},
		{"service network", flow{api, address("172.20.0.1"), tcp, 443}, false},
		{"home network", flow{api, address("192.168.1.1"), tcp, 22}, false},
		{"carrier network", flow{api, address("100.64.0.1"), tcp, 443}, false},
		{"multicast", flow{api, address("224.0.0.1"), udp, 5353}, false},
		{"loopback", flow{api, address("127.0.0.1"), tcp, 2379}, false},
		{"public node, blocked by the platform", flow{api, address("203.0.114.7"), tcp, 6443}, false},
		{"public node over IPv6, blocked by the platform", flow{api, address("2a01:4f8::7"), tcp, 6443}, false},
		{"internet", flow{api, address("1.1.1.1"), tcp, 443}, true},
		{"internet over IPv6", flow{api, address("2606:4700:4700::1111"), tcp, 443}, true},
		{"private IPv6", flow{api, address("fd12::1"), tcp, 443}, false},
		{"NAT64 of a private address", flow{api, address("64:ff9b::a00:1"), tcp, 443}, false},
		{"IPv4 within IPv6", flow{api, address("::ffff:10.0.0.1"), tcp, 443}, false},
		{"6to4", flow{api, address("2002:a00:1::1"), tcp, 443}, false},
		{"Teredo", flow{api, address("2001::1"), tcp, 443}, false},
		{"DNS over UDP", flow{api, dns, udp, 53}, true},
		{"DNS over TCP", flow{api, dns, tcp, 53}, true},
		{"metrics of DNS", flow{api, dns, tcp, 9153}, false},
		{"another Pod beside DNS", flow{api, endpoint{namespace: "kube-system", labels: map[string]string{"k8s-app": "etcd"}, address: "10.0.0.5"}, udp, 53}, false},
		{"a Pod that calls itself DNS", flow{api, endpoint{namespace: "compute-bobby--shop", labels: dns.labels, address: "10.244.3.3"}, udp, 53}, false},
		{"resolver on the node", flow{api, address("169.254.20.10"), udp, 53}, true},
		{"resolver on the node, another port", flow{api, address("169.254.20.10"), tcp, 80}, false},
		{"gateway to a target of ingress", flow{gateway, api, tcp, 8080}, true},
		{"gateway to the target of another port", flow{gateway, api, tcp, 7443}, true},
		{"gateway, for port forwarding", flow{gateway, api, tcp, 9090}, true},
		{"gateway to a UDP port", flow{gateway, api, udp, 5353}, false},
		{"gateway to a port that nobody named", flow{gateway, api, tcp, 6060}, false},
		{"gateway to a private container", flow{gateway, db, tcp, 5432}, false},
		{"container to the gateway", flow{api, gateway, tcp, 443}, false},
		{"internet to a target of ingress", flow{address("1.1.1.1"), api, tcp, 8080}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := allows(t, policies, tt.flow); got != tt.want {
				t.Errorf("got allowed %t, want %t", got, tt.want)
			}
		})
	}
}

// TestEverythingBlocked has no egress but the space and DNS when the platform blocks both halves of the internet.
func TestEverythingBlocked(t *testing.T) {
	f := newFleet(newSpace("alice", "web", "web"))
	f.Platform.Spec.Network.BlockedCIDRs = []string{"0.0.0.0/0", "::/0"}
	policies := policiesOf(t, f)
	for _, a := range []string{"1.1.1.1", "2606:4700:4700::1111", "10.0.0.1"} {
		if allows(t, policies, flow{container("alice--web", "web"), address(a), corev1.ProtocolTCP, 443}) {
			t.Errorf("%s can be reached", a)
		}
	}
}
