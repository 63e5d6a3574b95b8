package render

import (
	"cmp"
	"maps"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"bayplan.dev/schema"
)

// The ports that go through the cluster's ingress controller.
const (
	portHTTP  = 80
	portHTTPS = 443
)

// ingress is one object, or none when neither port 80 nor 443 is asked for. It
// has no annotations but Bayplan's own: controllers read configuration from
// theirs (CVE-2025-1974).
func (b builder) ingress(c *schema.Container) ([]object, error) {
	hosts := map[string]map[string]int32{}
	secure := map[string]bool{}
	for _, in := range c.Spec.Ingress {
		if in.Port != portHTTP && in.Port != portHTTPS {
			continue
		}
		path, target := cmp.Or(in.Path, "/"), cmp.Or(in.TargetPort, in.Port)
		if hosts[in.Host] == nil {
			hosts[in.Host] = map[string]int32{}
		}
		if other, taken := hosts[in.Host][path]; taken && other != target {
			return nil, schema.Errorf(schema.Invalid, "%s: spec.ingress: %s%s leads to port %d and to port %d; an Ingress can't tell port 80 from 443, give both the same targetPort",
				c.Source.File, in.Host, path, other, target)
		}
		hosts[in.Host][path] = target
		secure[in.Host] = secure[in.Host] || usesTLS(in)
	}
	if len(hosts) == 0 {
		return nil, nil
	}
	ingress := &networkingv1.Ingress{
		TypeMeta:   typeMeta("networking.k8s.io/v1", "Ingress"),
		ObjectMeta: b.containerMeta(c.ID.Name, c),
	}
	if class := b.platform.Ingress.ClassName; class != "" {
		ingress.Spec.IngressClassName = &class
	}
	var tls []string
	for _, host := range slices.Sorted(maps.Keys(hosts)) {
		ingress.Spec.Rules = append(ingress.Spec.Rules, ingressRule(c.ID.Name, host, hosts[host]))
		if secure[host] {
			tls = append(tls, host)
		}
	}
	if len(tls) > 0 {
		ingress.Spec.TLS = []networkingv1.IngressTLS{{Hosts: tls, SecretName: b.platform.Ingress.TLS.SecretName}}
	}
	return []object{ingress}, nil
}

func usesTLS(in schema.Ingress) bool {
	if in.TLS != nil {
		return *in.TLS
	}
	return in.Port == portHTTPS
}

func ingressRule(service, host string, paths map[string]int32) networkingv1.IngressRule {
	rule := networkingv1.IngressRule{Host: host}
	rule.HTTP = &networkingv1.HTTPIngressRuleValue{}
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		rule.HTTP.Paths = append(rule.HTTP.Paths, networkingv1.HTTPIngressPath{
			Path:     path,
			PathType: new(networkingv1.PathTypePrefix),
			Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
				Name: service,
				Port: networkingv1.ServiceBackendPort{Number: paths[path]},
			}},
		})
	}
	return rule
}
