package render

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"bayplan.dev/schema"
)

// service gives the container its name in the space.
func (b builder) service(c *schema.Container) object {
	spec := corev1.ServiceSpec{
		Type:     corev1.ServiceTypeClusterIP,
		Selector: selector(c),
		Ports:    servicePorts(&c.Spec),
	}
	if len(spec.Ports) == 0 {
		// Only headless Services may be without ports.
		spec.ClusterIP = corev1.ClusterIPNone
	}
	return &corev1.Service{
		TypeMeta:   typeMeta("v1", "Service"),
		ObjectMeta: b.containerMeta(c.ID.Name, c),
		Spec:       spec,
	}
}

func selector(c *schema.Container) map[string]string {
	return map[string]string{schema.LabelContainer: c.ID.Name}
}

// servicePorts are the container's ports and the targets of its ingress.
func servicePorts(spec *schema.ContainerSpec) []corev1.ServicePort {
	var ports []corev1.ServicePort
	add := func(name string, number int32, protocol corev1.Protocol) {
		if slices.ContainsFunc(ports, func(p corev1.ServicePort) bool { return p.Port == number && p.Protocol == protocol }) {
			return
		}
		name = cmp.Or(name, portName(number, protocol))
		if slices.ContainsFunc(ports, func(p corev1.ServicePort) bool { return p.Name == name }) {
			name = portName(number, protocol) + "-1"
		}
		ports = append(ports, corev1.ServicePort{Name: name, Port: number, Protocol: protocol, TargetPort: intstr.FromInt32(number)})
	}
	for _, p := range spec.Ports {
		add(p.Name, p.ContainerPort, cmp.Or(p.Protocol, corev1.ProtocolTCP))
	}
	for _, number := range outsideTargets(spec) {
		add("", number, corev1.ProtocolTCP)
	}
	return ports
}

// portName names a port that the user didn't name.
func portName(number int32, protocol corev1.Protocol) string {
	names := map[corev1.Protocol]string{corev1.ProtocolTCP: "tcp", corev1.ProtocolUDP: "udp", corev1.ProtocolSCTP: "sctp"}
	return fmt.Sprintf("%s-%d", names[protocol], number)
}

// outsideTargets are the ports of the container that something outside leads
// to, in order.
func outsideTargets(spec *schema.ContainerSpec) []int32 {
	var targets []int32
	for _, in := range spec.Ingress {
		targets = append(targets, cmp.Or(in.TargetPort, in.Port))
	}
	for _, ex := range spec.Expose {
		targets = append(targets, cmp.Or(ex.TargetPort, ex.Port))
	}
	slices.Sort(targets)
	return slices.Compact(targets)
}
