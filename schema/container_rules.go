package schema

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// containerCheck holds one container against the rules that CUE can't express.
type containerCheck struct {
	space    *spaceCheck
	platform *PlatformSpec
	doc      *document
	id       ContainerID
	spec     *ContainerSpec
}

func (c *containerCheck) report(path fieldPath, f Finding) {
	if c.doc.suspects(path.String()) {
		return
	}
	c.space.out.ruled = append(c.space.out.ruled, issue{doc: c.doc, path: path, Finding: f})
}

func (c *containerCheck) run() {
	c.image()
	c.env()
	c.resources()
	c.user()
	c.ports()
	c.ingress()
	c.volumes()
	c.probes()
	c.keys()
	c.placement()
	c.expiry()
}

func (c *containerCheck) image() {
	path := fieldPath{"spec", "image"}
	if c.spec.Image == "" {
		c.report(path, Finding{Code: "missing-field", Message: "is missing", Help: "add image: ghcr.io/acme/web:1.4.2"})
		return
	}
	named, err := reference.ParseNormalizedNamed(c.spec.Image)
	if err != nil {
		return // reported when the file was read
	}
	if !c.registryAllowed(named.Name()) {
		c.report(path, Finding{
			Code: "registry", Message: fmt.Sprintf("images may not come from %s", brief(named.Name())),
			Help: "use an image of " + strings.Join(c.platform.Registries, ", "),
		})
	}
	_, digested := named.(reference.Digested)
	tagged, hasTag := named.(reference.Tagged)
	switch {
	case digested:
	case c.platform.RequireDigest:
		c.report(path, Finding{
			Code: "digest", Message: "the platform wants images by digest",
			Help: "write " + brief(named.Name()) + "@sha256:…",
		})
	case !hasTag || tagged.Tag() == "latest":
		c.report(path, Finding{
			Severity: SeverityWarning, Code: "floating-tag", Message: "the image may change without a commit",
			Help: "write a tag of a version, or a digest",
		})
	}
}

func (c *containerCheck) registryAllowed(name string) bool {
	return len(c.platform.Registries) == 0 || slices.ContainsFunc(c.platform.Registries, func(r string) bool {
		return name == r || strings.HasPrefix(name, strings.TrimSuffix(r, "/")+"/")
	})
}

func (c *containerCheck) env() {
	seen := map[string]int{}
	for i, e := range c.spec.Env {
		path := fieldPath{"spec", "env"}.index(i)
		if first, twice := seen[e.Name]; twice {
			c.report(path.with("name"), Finding{
				Code: "duplicate-name", Message: fmt.Sprintf("%s is given twice, first in env[%d]", e.Name, first),
				Help: "remove one of them",
			})
			continue
		}
		seen[e.Name] = i
		if secretVariable(e.Name, e.Value) {
			c.report(path.with("value"), Finding{
				Severity: SeverityWarning, Code: "secret-in-env",
				Message: fmt.Sprintf("%s looks like a secret; everybody who reads the repository reads it", e.Name),
				Help:    "use valueFrom.secretKeyRef, and replace the secret",
			})
		}
	}
}

// minimums are the least limits that a container can start with.
var minimums = corev1.ResourceList{ //nolint:gochecknoglobals // a table
	corev1.ResourceCPU:    resource.MustParse("10m"),
	corev1.ResourceMemory: resource.MustParse("16Mi"),
}

func (c *containerCheck) resources() {
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		limit, request := c.spec.Resources.Limits[name], c.spec.Resources.Requests[name]
		path := fieldPath{"spec", "resources", "limits", string(name)}
		if least, ok := minimums[name]; ok && limit.Cmp(least) < 0 {
			c.report(path, Finding{
				Code: "bad-quantity", Message: fmt.Sprintf("%s is less than %s", &limit, &least),
				Help: fmt.Sprintf("write at least %s", &least),
			})
		}
		if most, ok := c.platform.Defaults.Max[name]; ok && limit.Cmp(most) > 0 {
			c.report(path, Finding{
				Code: "over-maximum", Message: fmt.Sprintf("%s is more than the platform's %s", &limit, &most),
				Help: fmt.Sprintf("write at most %s", &most),
			})
		}
		if request.Cmp(limit) > 0 {
			c.report(fieldPath{"spec", "resources", "requests", string(name)}, Finding{
				Code: "request-over-limit", Message: fmt.Sprintf("%s is more than the limit, %s", &request, &limit),
				Help: "raise the limit or lower the request",
			})
		}
	}
}

func (c *containerCheck) user() {
	if u := c.spec.SecurityContext.RunAsUser; u != nil && *u == 0 && c.platform.Security.Level == "restricted" {
		c.report(fieldPath{"spec", "securityContext", "runAsUser"}, Finding{
			Code: "root", Message: "0 is root, which the platform's level restricted forbids",
			Help: "use a user of the image that isn't root, such as 1000",
		})
	}
}

func (c *containerCheck) ports() {
	type key struct {
		port     int32
		protocol corev1.Protocol
	}
	names, numbers := map[string]bool{}, map[key]bool{}
	for i, p := range c.spec.Ports {
		path := fieldPath{"spec", "ports"}.index(i)
		k := key{p.ContainerPort, p.Protocol}
		switch {
		case p.Name != "" && names[p.Name]:
			c.report(path.with("name"), Finding{Code: "duplicate-name", Message: fmt.Sprintf("a port %q stands above", p.Name), Help: "give each port its own name"})
		case numbers[k]:
			c.report(path.with("containerPort"), Finding{Code: "duplicate-port", Message: fmt.Sprintf("port %d/%s stands above", p.ContainerPort, p.Protocol), Help: "remove one of them"})
		}
		names[p.Name], numbers[k] = true, true
	}
}

func (c *containerCheck) volumes() {
	paths := map[string]bool{}
	for i, m := range c.spec.Volumes {
		path := fieldPath{"spec", "volumes"}.index(i)
		if c.space.names[KindVolume][m.Name] == nil {
			c.report(path.with("name"), Finding{
				Code: "unknown-volume", Message: fmt.Sprintf("the space has no volume %q", m.Name),
				Help: cmp.Or(didYouMean(m.Name, slices.Sorted(maps.Keys(c.space.names[KindVolume]))), fmt.Sprintf("add a Volume named %s to %s/", m.Name, c.id.Space.Path())),
			})
		}
		clean := strings.TrimRight(m.MountPath, "/")
		if clean == "" || paths[clean] {
			c.report(path.with("mountPath"), Finding{Code: "duplicate-path", Message: fmt.Sprintf("%s is taken", brief(m.MountPath)), Help: "mount each volume at a folder of its own"})
		}
		paths[clean] = true
	}
}

func (c *containerCheck) keys() {
	if c.spec.SSH == nil {
		return
	}
	for i, name := range c.spec.SSH.Keys {
		if c.space.ring.has(name) {
			continue
		}
		var names []string
		for _, k := range c.space.ring.keys {
			names = append(names, k.key.Name)
		}
		message := fmt.Sprintf("%s has no SSH key %q", c.id.Space.User, name)
		help := cmp.Or(didYouMean(name, names), fmt.Sprintf("add it as %s/%s/%s/%s.yaml", usersFolder, c.id.Space.User, keysFolder, name))
		if c.space.ring.broken[name] {
			message, help = fmt.Sprintf("the SSH key %q has findings itself", name), "mend the key"
		}
		c.report(fieldPath{"spec", "ssh", "keys"}.index(i), Finding{Code: "unknown-key", Message: message, Help: help})
	}
}

func didYouMean(written string, names []string) string {
	if near := nearest(written, names); near != "" {
		return "did you mean " + near + "?"
	}
	return ""
}

func (c *containerCheck) placement() {
	if name := c.spec.RuntimeClassName; name != "" {
		c.listed(fieldPath{"spec", "runtimeClassName"}, "runtime class", name, c.platform.RuntimeClasses)
	}
	p := c.spec.Placement
	if p == nil {
		return
	}
	path := fieldPath{"spec", "placement"}
	if p.Arch != "" {
		c.listed(path.with("arch"), "architecture", p.Arch, c.platform.Placement.Archs)
	}
	if p.Zone != "" {
		c.listed(path.with("zone"), "zone", p.Zone, c.platform.Placement.Zones)
	}
	for _, key := range slices.Sorted(maps.Keys(p.NodeSelector)) {
		c.listed(path.with("nodeSelector", key), "node label", key, c.platform.Placement.NodeLabels)
	}
}

// listed reports what the platform doesn't list.
func (c *containerCheck) listed(path fieldPath, what, name string, names []string) {
	if slices.Contains(names, name) {
		return
	}
	c.report(path, Finding{
		Code: "not-offered", Message: fmt.Sprintf("the platform offers no %s %q", what, brief(name)),
		Help: oneOf(what, name, names),
	})
}
