package kube

import (
	"context"
	"encoding/json"
	"maps"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"bayplan.dev/schema"
)

// DryRun is what the API server says of an object that it doesn't keep.
type DryRun struct {
	// Object is where it would be, as in Deployment/compute-alice--web/web.
	Object string
	// Err is why it would be refused; its code is as from Apply.
	Err error
	// Untried says that its namespace isn't there, so that nothing could be tried.
	Untried bool
	// Replaced is the field for which Apply would delete what is there and make it
	// anew, instead of changing it.
	Replaced string
	// Before is what is there, nil when nothing is, and After what would be.
	// Neither has a status, or what the API server keeps for itself.
	Before, After map[string]any
	// Want are the fields that base sets, and Have is what is there of them; both
	// nil when there is nothing, or no base.
	Want, Have map[string]any
}

// DryRun asks what applying an object of the space would do, and changes
// nothing. Base, which may be nil, is what should be there now. It needs no
// watches: Run needn't be running. The error is that of reading; what the API
// server refuses is in the result.
func (c *Cluster) DryRun(ctx context.Context, id schema.SpaceID, base, head *unstructured.Unstructured) (DryRun, error) {
	in, err := newIntent(c.shape.fleet, id, head)
	if err != nil {
		return DryRun{}, err
	}
	result := DryRun{Object: in.String()}
	live, err := c.client.get(ctx, in.place)
	if err != nil {
		return result, during("read", in.place, c.client.wrap(err))
	}
	var only precondition
	switch {
	case live == nil:
		only.absent = true
	case c.shape.fleet.space(live.GetAnnotations()[schema.AnnotationOwner]) != id.String():
		result.Err = foreign(in.place, id)
		return result, nil
	default:
		only.uid = live.GetUID()
		if result.Before, err = bare(live); err != nil {
			return result, err
		}
		if base != nil {
			if result.Want, result.Have, err = c.drift(id, base, live); err != nil {
				return result, during("compare", in.place, err)
			}
		}
		if want, err := decode(in.kind, in.object); err == nil {
			result.Replaced = c.replaces(in.kind, want, live)
		}
	}
	if result.Replaced != "" {
		return result, nil
	}
	return c.dryRun(ctx, in, result, only)
}

func (c *Cluster) dryRun(ctx context.Context, in intent, result DryRun, only precondition) (DryRun, error) {
	body, err := in.body("", only)
	if err != nil {
		return result, err
	}
	after, err := c.client.apply(ctx, in.place, body, applyMode{force: only.uid != "", try: true})
	switch {
	case apierrors.IsNotFound(err):
		result.Untried = true
		return result, nil
	case err != nil:
		err = c.client.wrap(err)
		if code := schema.CodeOf(err); code == schema.Unavailable || code == schema.Forbidden {
			return result, during("try", in.place, err)
		}
		result.Err = err
		return result, nil
	}
	after.GetObjectKind().SetGroupVersionKind(in.kind.gvk)
	result.After, err = bare(after)
	return result, err
}

// replaces names the field that can't be changed in place, or "".
func (c *Cluster) replaces(k kind, want, live object) string {
	if k.detail == nil {
		return ""
	}
	return fixed(want, &record{detail: k.detail(live)})
}

// drift is what the base sets, as the API server would write it, and what is
// there of it.
func (c *Cluster) drift(id schema.SpaceID, base *unstructured.Unstructured, live object) (want, have map[string]any, err error) {
	in, err := newIntent(c.shape.fleet, id, base)
	if err != nil {
		return nil, nil, err
	}
	raw, err := c.shape.converter.ObjectToTyped(in.object)
	if err != nil {
		return nil, nil, err
	}
	fields, err := raw.ToFieldSet()
	if err != nil {
		return nil, nil, err
	}
	intended, err := decode(in.kind, in.object)
	if err != nil {
		return nil, nil, err
	}
	if want, err = c.shape.extract(in.kind, intended, fields); err != nil {
		return nil, nil, err
	}
	have, err = c.shape.extract(in.kind, live, fields)
	return want, have, err
}

// get reads what is at the place; nil when there is nothing.
func (c *client) get(ctx context.Context, p place) (object, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	result := p.kind.new()
	err := c.request(p, "GET").Do(ctx).Into(result)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // nothing there is an answer
	}
	result.GetObjectKind().SetGroupVersionKind(p.kind.gvk)
	return result, err
}

// bare is the object without its status and what only the API server writes.
func bare(o runtime.Object) (map[string]any, error) {
	data, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	var content map[string]any
	if err := json.Unmarshal(data, &content); err != nil {
		return nil, err
	}
	delete(content, "status")
	if metadata, ok := content[metadataKey].(map[string]any); ok {
		for _, name := range []string{"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink"} {
			delete(metadata, name)
		}
		if annotations, ok := metadata["annotations"].(map[string]any); ok {
			annotations = maps.Clone(annotations)
			delete(annotations, schema.AnnotationRevision)
			delete(annotations, annotationIntent)
			metadata["annotations"] = annotations
		}
	}
	return content, nil
}
