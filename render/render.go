// Package render turns a space of a fleet into the Kubernetes objects that
// stand for it. It is pure: the same fleet gives the same bytes, nothing is
// read or sent.
//
// One space becomes, in this order, which is the order to apply it in:
//
//	Namespace              compute-<user>--<space>, Pod Security labels
//	NetworkPolicy          default-deny, egress-dns, egress-internet, same-space,
//	                       and <container>-ingress for each container
//	ServiceAccount         bayplan-workload, without a token
//	ResourceQuota          bayplan-quota
//	LimitRange             bayplan-limits
//	ConfigMap              only those of the operator's overlay
//	PersistentVolumeClaim  one for each volume, by its name
//	Deployment             one for each container, by its name; 0 or 1 replicas
//	Service                one for each container, by its name
//	Ingress                for containers with ports 80 or 443 outside, by their name
//
// Objects of one kind are ordered by name. The only container of a Pod has the
// name of the container. A Service without ports is headless, so that the name
// resolves all the same.
//
// The way through: build makes typed objects (namespace.go to ingress.go), the
// operator's overlay changes them (overlay.go), the gate judges what came out
// (gate.go), encode writes the canonical maps (object.go).
package render

import (
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/pod-security-admission/policy"

	"bayplan.dev/schema"
)

// Renderer renders spaces and remembers those it rendered last. It is safe for
// concurrent use.
type Renderer struct {
	cache *cache
	// evaluator knows the Pod Security Standards.
	evaluator func() (policy.Evaluator, error)
}

// New returns a Renderer with an empty memory.
func New() *Renderer {
	return &Renderer{
		cache: newCache(cachedObjects),
		evaluator: sync.OnceValues(func() (policy.Evaluator, error) {
			return policy.NewEvaluator(policy.DefaultChecks(), nil)
		}),
	}
}

// Space returns the objects of the space in the order to apply them. They are
// shared with other callers: copy an object before changing it. An unknown
// space is a NotFound error, a frozen one Invalid, and so is whatever the
// overlay or the gate refuses.
func (r *Renderer) Space(f *schema.Fleet, id schema.SpaceID) ([]*unstructured.Unstructured, error) {
	space := f.Spaces.Get(id)
	switch {
	case space == nil:
		return nil, schema.Errorf(schema.NotFound, "render space %s: no such space", id)
	case f.Frozen:
		return nil, schema.Errorf(schema.Invalid, "render space %s: the fleet is frozen until its platform is mended", id)
	case space.Frozen:
		return nil, schema.Errorf(schema.Invalid, "render space %s: it is frozen until its files are mended", id)
	}
	key := cacheKey{space: id, digest: space.Digest}
	if objects, ok := r.cache.get(key); ok {
		return slices.Clone(objects), nil
	}
	objects, err := r.render(f, space)
	if err != nil {
		return nil, schema.Errorf(schema.CodeOf(err), "render space %s%s: %w", id, with(f.Overlay), err)
	}
	r.cache.put(key, objects)
	return slices.Clone(objects), nil
}

// with names the file to look at besides the space's own.
func with(o schema.Overlay) string {
	if len(o.Files) == 0 {
		return ""
	}
	return " with " + overlayFile(kustomizationFile)
}

func (r *Renderer) render(f *schema.Fleet, space *schema.Space) ([]*unstructured.Unstructured, error) {
	evaluator, err := r.evaluator()
	if err != nil {
		return nil, err
	}
	b := builder{platform: &f.Platform.Spec, space: space}
	base, err := b.build()
	if err != nil {
		return nil, err
	}
	final, added := base, []object(nil)
	if len(f.Overlay.Files) > 0 {
		if final, added, err = b.overlay(f.Overlay, base); err != nil {
			return nil, err
		}
	}
	if err := newGate(b, evaluator, base, added).check(final); err != nil {
		return nil, err
	}
	return encodeAll(final)
}

// builder makes the objects of one space.
type builder struct {
	platform *schema.PlatformSpec
	space    *schema.Space
}

func (b builder) build() ([]object, error) {
	policies, err := b.policies()
	if err != nil {
		return nil, err
	}
	objects := []object{b.namespace(), b.serviceAccount(), b.limitRange()}
	objects = append(objects, policies...)
	for _, v := range b.space.Volumes {
		objects = append(objects, b.claim(v))
	}
	for _, c := range b.space.Containers {
		objects = append(objects, b.deployment(c), b.service(c))
		ingress, err := b.ingress(c)
		if err != nil {
			return nil, err
		}
		objects = append(objects, ingress...)
	}
	objects = append(objects, b.quota(objects))
	order(objects)
	return objects, nil
}
