package render

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/resid"
	"sigs.k8s.io/yaml"
)

// Field by field, what an overlay may say is what kustomize is told.
type (
	patch  = types.Patch
	labels = types.Label
	image  = types.Image
)

// krustyTurn keeps builds apart: kustomize's OpenAPI schema is global to the
// process, and so is its guard.
//
//nolint:gochecknoglobals // see above
var krustyTurn sync.Mutex

const objectsFile = "objects.yaml"

// kustomize builds in memory. The kustomization is written anew from what was
// read, so that kustomize's loader, which fetches whatever looks like an
// address, sees no string of the operator's. Objects that nothing in the
// overlay is about are left out: kustomize takes a millisecond for each.
func (o overlay) kustomize(objects []object) ([]object, error) {
	touches, err := o.touches()
	if err != nil {
		return nil, err
	}
	var touched, final []object
	for _, o := range objects {
		if touches(o) {
			touched = append(touched, o)
		} else {
			final = append(final, o)
		}
	}
	if len(touched) == 0 {
		return final, nil
	}
	files, err := o.files(touched)
	if err != nil {
		return nil, err
	}
	built, err := build(files)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, document := range built {
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON(document); err != nil {
			return nil, err
		}
		decoded, err := decode(u)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		final = append(final, decoded)
	}
	return final, errors.Join(errs...)
}

// touches says whether the overlay may change an object. Labels are for all of
// them, images for what has containers, patches for what their targets select.
func (o overlay) touches() (func(object) bool, error) {
	var targets []*types.SelectorRegex
	for _, p := range o.patches {
		target, err := types.NewSelectorRegex(p.Target)
		if err != nil {
			return nil, err
		}
		targets = append(targets, target)
	}
	return func(obj object) bool {
		gvk := obj.GetObjectKind().GroupVersionKind()
		id := resid.Gvk{Group: gvk.Group, Version: gvk.Version, Kind: gvk.Kind}
		_, containers := obj.(*appsv1.Deployment)
		return len(o.labels) > 0 || len(o.images) > 0 && containers ||
			slices.ContainsFunc(targets, func(t *types.SelectorRegex) bool { return t.MatchGvk(id) && t.MatchName(obj.GetName()) })
	}, nil
}

func (o overlay) files(objects []object) (filesys.FileSystem, error) {
	encoded, err := encodeAll(objects)
	if err != nil {
		return nil, err
	}
	var resources []byte
	for _, u := range encoded {
		document, err := u.MarshalJSON() // which is YAML, and faster to write
		if err != nil {
			return nil, err
		}
		resources = append(append(resources, "---\n"...), document...)
	}
	kustomization, err := yaml.Marshal(types.Kustomization{
		TypeMeta:  types.TypeMeta{APIVersion: types.KustomizationVersion, Kind: types.KustomizationKind},
		Resources: []string{objectsFile},
		Patches:   o.patches,
		Labels:    o.labels,
		Images:    o.images,
	})
	if err != nil {
		return nil, err
	}
	files := filesys.MakeFsInMemory()
	if err := files.WriteFile(objectsFile, resources); err != nil {
		return nil, err
	}
	return files, files.WriteFile(kustomizationFile, kustomization)
}

// build runs kustomize, whose parsers panic on some inputs.
func build(files filesys.FileSystem) (documents []json.RawMessage, err error) {
	krustyTurn.Lock()
	defer krustyTurn.Unlock()
	defer func() {
		if r := recover(); r != nil {
			documents, err = nil, fmt.Errorf("kustomize can't process it: %v", r)
		}
	}()
	options := krusty.MakeDefaultOptions() // no plugins, nothing outside the root
	result, err := krusty.MakeKustomizer(options).Run(files, ".")
	if err != nil {
		return nil, errors.New(strings.Join(strings.Fields(err.Error()), " "))
	}
	for _, resource := range result.Resources() {
		document, err := resource.MarshalJSON()
		if err != nil {
			return nil, err
		}
		documents = append(documents, document)
	}
	return documents, nil
}
