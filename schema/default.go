package schema

import (
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

const defaultGrace = 24 * time.Hour

// fill gives every field of the platform that says nothing its default.
func (s *PlatformSpec) fill() {
	setDefault(&s.Domain, "bayplan.localhost")
	setDefault(&s.Ingress.Provider, "ingress")
	setDefault(&s.Network.ClusterDNS.Namespace, "kube-system")
	if s.Network.ClusterDNS.PodLabels == nil {
		s.Network.ClusterDNS.PodLabels = map[string]string{"k8s-app": "kube-dns"}
	}
	setDefault(&s.Network.GatewayNamespace, SystemNamespace)
	setDefault(&s.Security.Level, "restricted")
	setDefault(&s.Volumes.GracePeriod, "24h")
	grace, err := time.ParseDuration(s.Volumes.GracePeriod)
	if err != nil {
		grace = defaultGrace // reported when the file was read
	}
	s.Volumes.Grace = grace
	s.Defaults.Resources.Requests = complete(s.Defaults.Resources.Requests, corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("50m"),
		corev1.ResourceMemory:           resource.MustParse("128Mi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("64Mi"),
	})
	s.Defaults.Resources.Limits = complete(s.Defaults.Resources.Limits, corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("1"),
		corev1.ResourceMemory:           resource.MustParse("512Mi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("1Gi"),
	})
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// complete returns what is given, and the defaults for the rest. Where nothing
// is given that is the list of defaults itself, which ten thousand containers share.
func complete(given, defaults corev1.ResourceList) corev1.ResourceList {
	if len(given) == 0 {
		return defaults
	}
	list := make(corev1.ResourceList, len(defaults))
	maps.Copy(list, defaults)
	maps.Copy(list, given)
	return list
}

// fill gives every field of a container that says nothing its default. Slices
// and maps that it changes are copies.
func (s *ContainerSpec) fill(id ContainerID, p *PlatformSpec) {
	setDefault(&s.State, StateRunning)
	if s.ExpiresAt != nil {
		setDefault(&s.ExpirePolicy, ExpireStop)
	}
	s.fillResources(&p.Defaults)
	s.Ports = slices.Clone(s.Ports)
	for i := range s.Ports {
		setDefault(&s.Ports[i].Protocol, corev1.ProtocolTCP)
	}
	s.Ingress = slices.Clone(s.Ingress)
	for i := range s.Ingress {
		in := &s.Ingress[i]
		setDefault(&in.TargetPort, in.Port)
		setDefault(&in.Host, id.String()+"."+p.Domain)
		setDefault(&in.Path, "/")
		if in.TLS == nil {
			in.TLS = new(in.Port == 443)
		}
	}
}

// fillResources completes requests and limits so that a default never
// contradicts what is given: a given request lifts the default limit, a given
// limit caps the default request.
func (s *ContainerSpec) fillResources(d *Defaults) {
	given := s.Resources
	s.Resources.Limits = complete(given.Limits, d.Resources.Limits)
	s.Resources.Requests = complete(given.Requests, d.Resources.Requests)
	for name, limit := range s.Resources.Limits {
		request, ok := s.Resources.Requests[name]
		if !ok || request.Cmp(limit) <= 0 {
			continue
		}
		if _, own := given.Limits[name]; !own {
			s.Resources.Limits = with(s.Resources.Limits, name, request)
		} else if _, own := given.Requests[name]; !own {
			s.Resources.Requests = with(s.Resources.Requests, name, limit)
		}
	}
}

// with returns a copy of the list with one quantity replaced.
func with(list corev1.ResourceList, name corev1.ResourceName, q resource.Quantity) corev1.ResourceList {
	list = maps.Clone(list)
	list[name] = q
	return list
}
