package review

import (
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"bayplan.dev/schema"
)

// containerCautions says what the change of a container means; was is nil for a
// new one, now for one that is gone.
func (r *spaceReview) containerCautions(was, now *schema.Container) []Caution {
	if now == nil {
		cautions := []Caution{warn(ContainerDelete, was.Source, "it is deleted, with everything that it keeps outside of its volumes")}
		return append(cautions, r.lostHosts(was, nil)...)
	}
	var found []Caution
	found = append(found, r.restarts(now)...)
	found = append(found, r.images(was, now)...)
	found = append(found, r.hosts(was, now)...)
	found = append(found, r.ssh(was, now)...)
	return append(found, expiry(was, now)...)
}

// deploymentOf reads the Deployment of a container, nil when there is none.
func deploymentOf(u *unstructured.Unstructured) *appsv1.Deployment {
	if u == nil {
		return nil
	}
	d := &appsv1.Deployment{}
	if runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, d) != nil {
		return nil // the gate has read it; what it passed can be read
	}
	return d
}

// deployment is the difference of the container's Deployment; false when there is none.
func (r *spaceReview) deployment(name string) (pair, bool) {
	for _, p := range r.objects {
		if kind, owner := p.owner(); kind == schema.KindContainer && owner == name && p.any().GetKind() == "Deployment" {
			return p, true
		}
	}
	return pair{}, false
}

// reasonsShown is how many fields a restart names.
const reasonsShown = 4

// restarts tells whether the Pod restarts, stops or may run as root. A Pod
// restarts when the template of its Deployment differs, and only then.
func (r *spaceReview) restarts(now *schema.Container) []Caution {
	p, differs := r.deployment(now.ID.Name)
	if !differs || !r.rendered {
		return nil
	}
	was, next := deploymentOf(p.before), deploymentOf(p.after)
	if next == nil {
		return nil
	}
	found := rootUser(was, next, now.Source)
	if was == nil {
		return found
	}
	ran, runs := replicas(was) > 0, replicas(next) > 0
	switch {
	case ran && !runs:
		found = append(found, warn(Stop, now.Source, "its Pod stops"))
	case ran && !equality.Semantic.DeepEqual(was.Spec.Template, next.Spec.Template):
		found = append(found, warn(Restart, now.Source, "its Pod restarts, because of "+r.reasons(p)))
	}
	return found
}

func replicas(d *appsv1.Deployment) int32 {
	if d.Spec.Replicas == nil {
		return 1
	}
	return *d.Spec.Replicas
}

// reasons names the fields of the template that differ.
func (r *spaceReview) reasons(p pair) string {
	template := func(u *unstructured.Unstructured) any {
		t, _, _ := unstructured.NestedFieldNoCopy(u.Object, "spec", "template") // nil where there is none
		return t
	}
	o := r.options
	o.MaxFields = 1000
	fields, _ := fieldsAt(nil, template(p.before), template(p.after), o)
	var paths []string
	for _, f := range fields {
		name := strings.TrimPrefix(f.Path, "spec.")
		if _, inner, ok := strings.Cut(name, "]."); ok && strings.HasPrefix(name, "containers[") {
			name = inner
		}
		paths = append(paths, name)
	}
	return some(paths, reasonsShown)
}

// rootUser tells of a Pod that may run as root and couldn't before.
func rootUser(was, now *appsv1.Deployment, at schema.Position) []Caution {
	root, why := asRoot(&now.Spec.Template.Spec)
	if !root {
		return nil
	}
	if was != nil {
		if before, _ := asRoot(&was.Spec.Template.Spec); before {
			return nil
		}
	}
	return []Caution{warn(RootUser, at, why)}
}

func asRoot(pod *corev1.PodSpec) (root bool, why string) {
	for i := range pod.Containers {
		user, nonRoot := (*int64)(nil), (*bool)(nil)
		if s := pod.SecurityContext; s != nil {
			user, nonRoot = s.RunAsUser, s.RunAsNonRoot
		}
		if s := pod.Containers[i].SecurityContext; s != nil {
			if s.RunAsUser != nil {
				user = s.RunAsUser
			}
			if s.RunAsNonRoot != nil {
				nonRoot = s.RunAsNonRoot
			}
		}
		switch {
		case nonRoot != nil && *nonRoot:
		case user != nil && *user == 0:
			return true, "it runs as root, user 0"
		case user == nil:
			return true, "it runs as the user that its image says, which may be root; write securityContext: {runAsUser: 1000}"
		}
	}
	return false, ""
}

// images tells where a new image comes from.
func (r *spaceReview) images(was, now *schema.Container) []Caution {
	image := now.Spec.Image
	if was != nil && was.Spec.Image == image {
		return nil
	}
	var found []Caution
	if from := registry(image); from != "" && !r.base.registries()[from] && len(r.base.registries()) > 0 {
		found = append(found, warn(ImageRegistryNew, now.Source, "its image comes from "+from+", which no container's did before"))
	}
	if !digested(image) {
		found = append(found, warn(ImageNotDigest, now.Source, "its image "+quoted(cut(image, r.options.MaxValue))+" has no digest, so the tag may lead to another one tomorrow"))
	}
	return found
}

// hosts tells what becomes reachable from outside, and what no longer is.
func (r *spaceReview) hosts(was, now *schema.Container) []Caution {
	var found []Caution
	told := map[endpoint]bool{}
	for _, in := range now.Spec.Ingress {
		at := endpoint{in.Host, in.Path}
		if told[at] {
			continue
		}
		told[at] = true
		holder, known := r.base.hosts()[at]
		switch {
		case !known:
			found = append(found, warn(NewPublicHost, now.Source, fmt.Sprintf("it becomes reachable from the internet at %s (port %d)", at, in.TargetPort)))
		case holder != now.ID:
			found = append(found, warn(HostMoved, now.Source, fmt.Sprintf("%s led to %s and now leads here", at, holder)))
		case was != nil && encrypted(was, at) && !encrypted(now, at):
			found = append(found, warn(TLSOff, now.Source, fmt.Sprintf("%s loses its encryption", at)))
		}
	}
	for _, ex := range now.Spec.Expose {
		if was == nil || !exposes(was, ex.Port) {
			found = append(found, warn(NewPublicPort, now.Source, fmt.Sprintf("it becomes reachable from the internet at port %d (TCP)", ex.Port)))
		}
	}
	if was != nil {
		found = append(found, r.lostHosts(was, now)...)
	}
	return found
}

func encrypted(c *schema.Container, at endpoint) bool {
	return slices.ContainsFunc(c.Spec.Ingress, func(in schema.Ingress) bool {
		return in.Host == at.host && in.Path == at.path && in.TLS != nil && *in.TLS
	})
}

func exposes(c *schema.Container, port int32) bool {
	return slices.ContainsFunc(c.Spec.Expose, func(ex schema.Expose) bool { return ex.Port == port })
}

// lostHosts tells what of a container leads nowhere any more.
func (r *spaceReview) lostHosts(was, now *schema.Container) []Caution {
	place := was.Source
	if now != nil {
		place = now.Source
	}
	var found []Caution
	told := map[endpoint]bool{}
	for _, in := range was.Spec.Ingress {
		at := endpoint{in.Host, in.Path}
		if _, led := r.head.hosts()[at]; !led && !told[at] {
			found = append(found, warn(HostGone, place, fmt.Sprintf("%s leads nowhere any more", at)))
		}
		told[at] = true
	}
	return found
}

// ssh tells who gets in that didn't before.
func (r *spaceReview) ssh(was, now *schema.Container) []Caution {
	next := now.Spec.SSH
	if next == nil || !next.Enabled {
		return nil
	}
	var before schema.SSH
	if was != nil && was.Spec.SSH != nil && was.Spec.SSH.Enabled {
		before = *was.Spec.SSH
	}
	var found []Caution
	who := "all keys of " + string(now.ID.Space.User)
	if len(next.Keys) > 0 {
		who = some(next.Keys, reasonsShown)
	}
	switch {
	case !before.Enabled:
		found = append(found, warn(SSHEnabled, now.Source, "it becomes reachable over SSH for "+who))
	case len(before.Keys) > 0:
		if added := without(next.Keys, before.Keys); len(next.Keys) == 0 || len(added) > 0 {
			if len(added) > 0 {
				who = some(added, reasonsShown)
			}
			found = append(found, warn(SSHKeyAdded, now.Source, "it lets in "+who))
		}
	}
	if before.Enabled && next.PortForwarding && !before.PortForwarding {
		found = append(found, warn(SSHEnabled, now.Source, "SSH may forward connections to its ports"))
	}
	return found
}

// expiry tells of a container that will be deleted by the clock.
func expiry(was, now *schema.Container) []Caution {
	deletes := func(c *schema.Container) bool {
		return c != nil && c.Spec.ExpiresAt != nil && c.Spec.ExpirePolicy == schema.ExpireDelete
	}
	if !deletes(now) || deletes(was) && was.Spec.ExpiresAt.Equal(*now.Spec.ExpiresAt) {
		return nil
	}
	return []Caution{warn(ExpireDelete, now.Source, "it is deleted at "+now.Spec.ExpiresAt.UTC().Format(time.RFC3339))}
}

func without(list, other []string) []string {
	var rest []string
	for _, s := range list {
		if !slices.Contains(other, s) {
			rest = append(rest, s)
		}
	}
	return rest
}
