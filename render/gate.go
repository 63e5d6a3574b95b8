package render

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"bayplan.dev/schema"
)

// gate is the one place that every object passes before it may be applied,
// whoever made it. It trusts neither the overlay nor the builder.
type gate struct {
	security  api.LevelVersion
	evaluator policy.Evaluator
	// base are the objects before the overlay, and those that it adds by name.
	base map[ref]object
	// added are the latter: Bayplan makes no promise about what they hold.
	added map[ref]bool
	found []error
}

// refusal names the object, the field and the rule.
type refusal struct {
	object ref
	field  string
	rule   string
}

func (r refusal) Error() string {
	if r.field == "" {
		return fmt.Sprintf("%s: %s", r.object, r.rule)
	}
	return fmt.Sprintf("%s: %s: %s", r.object, r.field, r.rule)
}

func newGate(b builder, evaluator policy.Evaluator, base, added []object) *gate {
	g := &gate{
		security:  b.security(),
		evaluator: evaluator,
		base:      make(map[ref]object, len(base)+len(added)),
		added:     make(map[ref]bool, len(added)),
	}
	for _, o := range base {
		g.base[refOf(o)] = o
	}
	for _, o := range added {
		g.base[refOf(o)], g.added[refOf(o)] = o, true
	}
	return g
}

// check returns an Invalid error with everything that may not pass.
func (g *gate) check(objects []object) error {
	seen := make(map[ref]bool, len(objects))
	for _, o := range objects {
		name := refOf(o)
		base, ok := g.base[name]
		switch {
		case !ok:
			g.refuse(o, "metadata.name", "is none of the objects of the space: nothing may be renamed, and new objects come from files under resources")
			continue
		case seen[name]:
			g.refuse(o, "", "occurs twice")
			continue
		}
		seen[name] = true
		g.checkMeta(o, base)
		g.checkKind(o, base)
	}
	for _, name := range slices.SortedFunc(maps.Keys(g.base), compareRefs) {
		if !seen[name] {
			g.found = append(g.found, refusal{object: name, rule: "is missing: nothing that is rendered may be deleted or renamed"})
		}
	}
	if len(g.found) > 0 {
		return schema.Errorf(schema.Invalid, "%w", errors.Join(g.found...))
	}
	return nil
}

func (g *gate) refuse(o object, field, rule string) {
	g.found = append(g.found, refusal{object: refOf(o), field: field, rule: rule})
}

// require refuses unless ok.
func (g *gate) require(ok bool, o object, field, rule string) {
	if !ok {
		g.refuse(o, field, rule)
	}
}

func (g *gate) checkMeta(o, base object) {
	if o.GetNamespace() != base.GetNamespace() {
		g.refuse(o, "metadata.namespace", fmt.Sprintf("must stay %q", base.GetNamespace()))
	}
	g.require(len(o.GetOwnerReferences()) == 0, o, "metadata.ownerReferences", "must be absent: nobody but Bayplan owns what it applies")
	g.require(len(o.GetFinalizers()) == 0, o, "metadata.finalizers", "must be absent: they would keep the space from being deleted")
	g.require(o.GetGenerateName() == "", o, "metadata.generateName", "must be absent")
	serverOwned := o.GetUID() != "" || o.GetResourceVersion() != "" || o.GetDeletionTimestamp() != nil || len(o.GetManagedFields()) > 0
	g.require(!serverOwned, o, "metadata", "must not hold what the API server sets: uid, resourceVersion, deletionTimestamp, managedFields")
	g.checkAnnotations(o, "metadata.annotations", o.GetAnnotations(), base.GetAnnotations())
	g.checkLabels(o, "metadata.labels", o.GetLabels(), base.GetLabels())
}

// checkAnnotations refuses every annotation that isn't Bayplan's own: they
// configure controllers, and say who owns what.
func (g *gate) checkAnnotations(o object, field string, got, want map[string]string) {
	if maps.Equal(got, want) {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if _, ours := want[key]; !ours {
			g.refuse(o, field, fmt.Sprintf("%s is not an annotation of Bayplan's", key))
		}
	}
	g.checkKept(o, field, got, want)
}

// checkLabels lets labels be added, but not those that Bayplan and the API server read.
func (g *gate) checkLabels(o object, field string, got, want map[string]string) {
	if maps.Equal(got, want) {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if _, ours := want[key]; !ours && reserved(key) {
			g.refuse(o, field, fmt.Sprintf("%s is reserved", key))
		}
	}
	g.checkKept(o, field, got, want)
}

func (g *gate) checkKept(o object, field string, got, want map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if value, ok := got[key]; !ok || value != want[key] {
			g.refuse(o, field, fmt.Sprintf("%s must stay %q", key, want[key]))
		}
	}
}

// reserved says whether a label has a meaning for Bayplan or for Kubernetes' own controllers.
func reserved(key string) bool {
	domain, _, _ := strings.Cut(key, "/")
	return domain == "bayplan.dev" || key == schema.LabelManagedBy ||
		strings.HasSuffix(domain, "kubernetes.io") && domain != "app.kubernetes.io"
}

func (g *gate) checkKind(o, base object) {
	switch o := o.(type) {
	case *corev1.Namespace:
		g.require(len(o.Spec.Finalizers) == 0, o, "spec.finalizers", "must be absent: they would keep the space from being deleted")
	case *networkingv1.NetworkPolicy:
		before, ok := base.(*networkingv1.NetworkPolicy)
		same := ok && reflect.DeepEqual(o.Spec, before.Spec)
		g.require(same || g.added[refOf(o)], o, "spec", "must stay as rendered: write another NetworkPolicy and list its file under resources")
	case *corev1.ServiceAccount:
		g.require(isFalse(o.AutomountServiceAccountToken), o, "automountServiceAccountToken", "must be false")
		g.require(len(o.Secrets) == 0, o, "secrets", "must be absent")
	case *corev1.ResourceQuota:
		for _, name := range []corev1.ResourceName{"services.nodeports", "services.loadbalancers"} {
			q, ok := o.Spec.Hard[name]
			g.require(ok && q.IsZero(), o, "spec.hard", fmt.Sprintf("%s must be 0", name))
		}
	case *corev1.PersistentVolumeClaim:
		bound := o.Spec.VolumeName != "" || o.Spec.Selector != nil || o.Spec.DataSource != nil || o.Spec.DataSourceRef != nil
		g.require(!bound, o, "spec", "must not choose its volume: volumeName, selector, dataSource and dataSourceRef must be absent")
	case *appsv1.Deployment:
		g.checkDeployment(o, base)
	case *corev1.Service:
		g.checkService(o, base)
	case *networkingv1.Ingress:
		g.checkIngress(o, base)
	case *corev1.LimitRange, *corev1.ConfigMap:
	default:
		g.refuse(o, "kind", "is not among the kinds that a space may have")
	}
}

func (g *gate) checkService(s *corev1.Service, base object) {
	before, ok := base.(*corev1.Service)
	if !ok {
		return
	}
	g.require(cmp.Or(s.Spec.Type, corev1.ServiceTypeClusterIP) == corev1.ServiceTypeClusterIP, s, "spec.type", "must be ClusterIP")
	g.require(len(s.Spec.ExternalIPs) == 0, s, "spec.externalIPs", "must be absent: they take over addresses of others (CVE-2020-8554)")
	g.require(s.Spec.ExternalName == "", s, "spec.externalName", "must be absent")
	g.require(s.Spec.LoadBalancerIP == "" && s.Spec.LoadBalancerClass == nil, s, "spec.loadBalancerIP", "must be absent")
	g.require(s.Spec.ClusterIP == before.Spec.ClusterIP && len(s.Spec.ClusterIPs) == 0, s, "spec.clusterIP", "must stay as rendered")
	g.require(maps.Equal(s.Spec.Selector, before.Spec.Selector), s, "spec.selector", "must stay as rendered")
	nodePort := slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return p.NodePort != 0 })
	g.require(!nodePort, s, "spec.ports", "must have no nodePort")
}

func (g *gate) checkIngress(in *networkingv1.Ingress, base object) {
	before, ok := base.(*networkingv1.Ingress)
	if !ok {
		return
	}
	var hosts []string
	for _, rule := range before.Spec.Rules {
		hosts = append(hosts, rule.Host)
	}
	g.require(in.Spec.DefaultBackend == nil, in, "spec.defaultBackend", "must be absent: it would answer for the hosts of others")
	for _, rule := range in.Spec.Rules {
		g.require(slices.Contains(hosts, rule.Host), in, "spec.rules", fmt.Sprintf("host %q is not one of the container's", rule.Host))
		if rule.HTTP == nil {
			continue
		}
		for _, path := range rule.HTTP.Paths {
			g.require(path.Backend.Resource == nil, in, "spec.rules", "a backend must be a Service")
		}
	}
	for _, tls := range in.Spec.TLS {
		for _, host := range tls.Hosts {
			g.require(slices.Contains(hosts, host), in, "spec.tls", fmt.Sprintf("host %q is not one of the container's", host))
		}
	}
}

func compareRefs(a, b ref) int {
	return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name))
}

func isFalse(b *bool) bool { return b != nil && !*b }
