package schema

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func (c *containerCheck) ingress() {
	for i, in := range c.spec.Ingress {
		path := fieldPath{"spec", "ingress"}.index(i)
		if in.Port != 80 && in.Port != 443 {
			c.report(path.with("port"), Finding{
				Code: "not-available", Message: fmt.Sprintf("port %d is not available in this version of Bayplan", in.Port),
				Help: "use 80 (HTTP) or 443 (HTTPS)",
			})
		}
		c.host(path.with("host"), in.Host)
		if len(c.spec.Ports) > 0 && !c.listens(in.TargetPort) {
			c.report(path.with("targetPort"), Finding{
				Code: "unknown-port", Message: fmt.Sprintf("the container has no TCP port %d", in.TargetPort),
				Help: "write targetPort: and one of " + c.portList(),
			})
		}
	}
}

// host checks that a host can't be another user's: below the platform's domain
// its first label begins with the user's name.
func (c *containerCheck) host(path fieldPath, host string) {
	name, inside := strings.CutSuffix("."+host, "."+c.platform.Domain)
	if !inside {
		c.report(path, Finding{
			Code: "not-available", Message: fmt.Sprintf("%s lies outside %s; custom domains are not available in this version of Bayplan", brief(host), c.platform.Domain),
			Help: "remove the line; the host is then " + c.id.String() + "." + c.platform.Domain,
		})
		return
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(name, "."), ".")
	if first != c.id.String() && !strings.HasPrefix(first, string(c.id.Space.User)+separator) {
		c.report(path, Finding{
			Code: "foreign-host", Message: fmt.Sprintf("%s doesn't begin with %s%s, so it would be the host of another user", brief(host), c.id.Space.User, separator),
			Help: fmt.Sprintf("begin it with %s%s, such as %s.%s", c.id.Space.User, separator, c.id, c.platform.Domain),
		})
	}
}

func (c *containerCheck) listens(port int32) bool {
	for _, p := range c.spec.Ports {
		// A port that can't be read may be the one.
		if p.ContainerPort == 0 || p.ContainerPort == port && p.Protocol == corev1.ProtocolTCP {
			return true
		}
	}
	return false
}

func (c *containerCheck) portList() string {
	var ports []string
	for _, p := range c.spec.Ports {
		if p.Protocol == corev1.ProtocolTCP {
			ports = append(ports, fmt.Sprint(p.ContainerPort))
		}
	}
	return strings.Join(ports, ", ")
}

func (c *containerCheck) probes() {
	c.probe("readinessProbe", c.spec.ReadinessProbe, true)
	c.probe("livenessProbe", c.spec.LivenessProbe, false)
	c.probe("startupProbe", c.spec.StartupProbe, false)
}

func (c *containerCheck) probe(name string, p *corev1.Probe, manySuccesses bool) {
	if p == nil {
		return
	}
	path := fieldPath{"spec", name}
	actions := 0
	if p.HTTPGet != nil {
		actions++
		c.probePort(path.with("httpGet", "port"), p.HTTPGet.Port)
	}
	if p.TCPSocket != nil {
		actions++
		c.probePort(path.with("tcpSocket", "port"), p.TCPSocket.Port)
	}
	if p.Exec != nil {
		actions++
	}
	if actions != 1 {
		c.report(path, Finding{
			Code: "not-one-of", Message: "must have exactly one of httpGet, tcpSocket and exec",
			Help: "write httpGet: {path: /healthz, port: 8080}, or one of the others",
		})
	}
	if !manySuccesses && p.SuccessThreshold > 1 {
		c.report(path.with("successThreshold"), Finding{
			Code: "bad-value", Message: "must be 1 here, for one success is enough", Help: "remove the line",
		})
	}
}

func (c *containerCheck) probePort(path fieldPath, port intstr.IntOrString) {
	if port.Type != intstr.String || c.doc.suspects("spec.ports") {
		return
	}
	var names []string
	for _, p := range c.spec.Ports {
		if p.Name == port.StrVal {
			return
		}
		if p.Name != "" {
			names = append(names, p.Name)
		}
	}
	c.report(path, Finding{
		Code: "unknown-port", Message: fmt.Sprintf("the container has no port named %q", brief(port.StrVal)),
		Help: oneOf("named port", port.StrVal, names),
	})
}
