package kube

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"bayplan.dev/schema"
)

// managerGrace owns the end of a claim's grace period, so that applying the
// claim, which is not part of it, leaves it alone.
const managerGrace = "bayplan-grace"

// client speaks to the API server. All its parts share one connection pool.
type client struct {
	host      string
	fleet     fleet
	typed     map[kschema.GroupVersion]*rest.RESTClient
	metadata  metadata.Interface
	discovery discovery.DiscoveryInterfaceWithContext
	ahead     atomic.Int64
	limit     *limit
}

func newClient(config *rest.Config, log *slog.Logger, options Options) (*client, error) {
	c := &client{host: config.Host, fleet: fleet(options.Fleet), typed: map[kschema.GroupVersion]*rest.RESTClient{}, limit: newLimit()}
	config = rest.CopyConfig(config)
	config.UserAgent = "bayplan/" + cmp.Or(options.Version, "devel")
	// A limit on the rate only delays; writes have one on what is in flight.
	config.QPS = -1
	config.RateLimiter = nil
	// Compressing a list costs the API server more than the few large ones save.
	config.DisableCompression = true
	config.WarningHandlerWithContext = warnings{log}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return newTransport(next, c) })
	shared, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	versions := []kschema.GroupVersion{authorizationv1.SchemeGroupVersion}
	for _, k := range kinds {
		versions = append(versions, k.gvk.GroupVersion())
	}
	for _, gv := range versions {
		if c.typed[gv] != nil {
			continue
		}
		if c.typed[gv], err = newTyped(config, shared, gv); err != nil {
			return nil, err
		}
	}
	if c.metadata, err = metadata.NewForConfigAndClient(metadata.ConfigFor(config), shared); err != nil {
		return nil, err
	}
	lister, err := discovery.NewDiscoveryClientForConfigAndClient(config, shared)
	if err != nil {
		return nil, err
	}
	c.discovery = lister
	return c, nil
}

func newTyped(config *rest.Config, shared *http.Client, gv kschema.GroupVersion) (*rest.RESTClient, error) {
	config = rest.CopyConfig(config)
	config.GroupVersion = &gv
	config.APIPath = "/apis"
	if gv.Group == "" {
		config.APIPath = "/api"
	}
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	config.ContentType = "application/json"
	return rest.RESTClientForConfigAndClient(config, shared)
}

// write begins a request that changes something, when the limit lets it. The
// returned function ends it and must be called.
func (c *client) write(ctx context.Context) (context.Context, func(), error) {
	if err := c.limit.acquire(ctx); err != nil {
		return nil, nil, err
	}
	// The time in the queue isn't the API server's.
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	return ctx, func() { cancel(); c.limit.release() }, nil
}

// place is where an object is or shall be.
type place struct {
	kind      kind
	namespace string
	name      string
}

// String is the place as people read it: "Deployment/compute-alice--web/web".
func (p place) String() string {
	if p.namespace == "" {
		return p.kind.gvk.Kind + "/" + p.name
	}
	return p.kind.gvk.Kind + "/" + p.namespace + "/" + p.name
}

func (c *client) request(p place, verb string) *rest.Request {
	return c.typed[p.kind.gvk.GroupVersion()].Verb(verb).
		NamespaceIfScoped(p.namespace, !p.kind.cluster).Resource(p.kind.resource).Name(p.name).Timeout(requestTimeout)
}

// applyMode says how an apply treats what it meets.
type applyMode struct {
	// force takes fields from other managers; only for objects proved to be ours.
	force bool
	// try changes nothing and says what would happen.
	try bool
}

// apply sends the complete intent and returns the object as it then is.
func (c *client) apply(ctx context.Context, p place, body []byte, mode applyMode) (object, error) {
	ctx, done, err := c.write(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	options := &metav1.PatchOptions{FieldManager: schema.FieldManager, Force: &mode.force}
	if mode.try {
		options.DryRun = []string{metav1.DryRunAll}
	}
	result := p.kind.new()
	err = c.request(p, http.MethodPatch).SetHeader("Content-Type", string(types.ApplyPatchType)).
		VersionedParams(options, scheme.ParameterCodec).Body(body).Do(ctx).Into(result)
	return result, err
}

// create makes the object, which then is what was made, and fails when it exists.
func (c *client) create(ctx context.Context, p place, o object) error {
	ctx, done, err := c.write(ctx)
	if err != nil {
		return err
	}
	defer done()
	at := p
	at.name = ""
	return c.typed[p.kind.gvk.GroupVersion()].Post().
		NamespaceIfScoped(p.namespace, !p.kind.cluster).Resource(p.kind.resource).Timeout(requestTimeout).
		VersionedParams(&metav1.CreateOptions{FieldManager: schema.FieldManager}, scheme.ParameterCodec).
		Body(o).Do(ctx).Into(o)
}

// merge sends a JSON merge patch in the name of managerGrace.
func (c *client) merge(ctx context.Context, p place, body []byte) (object, error) {
	ctx, done, err := c.write(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	result := p.kind.new()
	err = c.request(p, http.MethodPatch).SetHeader("Content-Type", string(types.MergePatchType)).
		VersionedParams(&metav1.PatchOptions{FieldManager: managerGrace}, scheme.ParameterCodec).Body(body).Do(ctx).Into(result)
	return result, err
}

// read returns the metadata of what is at the place.
func (c *client) read(ctx context.Context, p place) (*metav1.PartialObjectMetadata, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return c.metadata.Resource(p.kind.gvr()).Namespace(p.namespace).Get(ctx, p.name, metav1.GetOptions{})
}

// delete deletes what is at the place if it still is what the preconditions say.
func (c *client) delete(ctx context.Context, p place, only metav1.Preconditions, dependents metav1.DeletionPropagation) error {
	ctx, done, err := c.write(ctx)
	if err != nil {
		return err
	}
	defer done()
	return c.metadata.Resource(p.kind.gvr()).Namespace(p.namespace).
		Delete(ctx, p.name, metav1.DeleteOptions{Preconditions: &only, PropagationPolicy: &dependents})
}

// warnings are what the API server remarks in a header.
type warnings struct{ log *slog.Logger }

// HandleWarningHeaderWithContext implements rest.WarningHandlerWithContext.
func (w warnings) HandleWarningHeaderWithContext(ctx context.Context, code int, _, text string) {
	// 299 is the only code that the API server uses.
	if code == 299 && text != "" {
		w.log.DebugContext(ctx, "API server warns", "message", text)
	}
}
