package webhook

import (
	"context"
	"slices"

	"github.com/danielgtaylor/huma/v2"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"bayplan.dev/schema"
)

// RenderedObject is one Kubernetes object that a container is rendered to.
type RenderedObject struct {
	Kind       string         `json:"kind"`
	APIVersion string         `json:"api_version"`
	Namespace  string         `json:"namespace,omitempty"`
	Name       string         `json:"name"`
	Shared     bool           `json:"shared" doc:"It is the whole space's, not the container's alone."`
	Object     map[string]any `json:"object" doc:"As it is applied; what may be secret is (hidden)."`
}

func (a *API) objectRoutes() {
	if a.opts.Objects == nil {
		return
	}
	read(a, huma.Operation{
		Path: "/compute/containers/{id}/objects", OperationID: "list-container-objects",
		Summary: "List the Kubernetes objects that a container is rendered to", Tags: []string{"containers"},
		Description: "Those of the container, of the volumes that it mounts and of its space, in the order in which they are applied: what the cluster is to hold, not what it holds. " +
			"A space with errors has none until these are mended (409); a container whose file is gone has none.",
	}, a.listObjects)
}

func (a *API) listObjects(ctx context.Context, fleet *schema.Fleet, in *struct {
	ID string `path:"id" example:"alice--web"`
},
) (*listOutput[RenderedObject], error) {
	found, err := a.container(ctx, fleet, in.ID)
	if err != nil {
		return nil, err
	}
	out := newList[RenderedObject](a)
	out.Body.Metadata.Revision = fleet.Revision
	wanted := fleet.Container(found.ID)
	if wanted == nil {
		return out, nil
	}
	objects, err := a.opts.Objects(fleet, found.ID.Space)
	if schema.CodeOf(err) == schema.Invalid {
		return nil, schema.Errorf(schema.Conflict, "the space %s has errors, so nothing of it is rendered: mend them first", found.ID.Space)
	}
	if err != nil {
		return nil, err
	}
	for _, o := range objects {
		if shared, concerns := concern(wanted, o); concerns {
			out.Body.Items = append(out.Body.Items, RenderedObject{
				Kind: o.GetKind(), APIVersion: o.GetAPIVersion(), Namespace: o.GetNamespace(), Name: o.GetName(), Shared: shared, Object: o.Object,
			})
		}
	}
	return out, nil
}

// concern says whether an object of the space concerns the container, and
// whether it is not that one's alone.
func concern(c *schema.Container, o *unstructured.Unstructured) (shared, concerns bool) {
	labels := o.GetLabels()
	if name := labels[schema.LabelContainer]; name != "" {
		return false, name == c.ID.Name
	}
	if name := labels[schema.LabelVolume]; name != "" {
		return true, slices.ContainsFunc(c.Spec.Volumes, func(m schema.VolumeMount) bool { return m.Name == name })
	}
	return true, true
}
