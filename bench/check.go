package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"bayplan.dev/schema"
)

// endStateError wraps what is wrong with a cluster after an engine's run.
type endStateError struct{ err error }

func (e endStateError) Error() string { return "end state: " + e.err.Error() }

func (e endStateError) Unwrap() error { return e.err }

// pageSize bounds the memory of a check.
const pageSize = 500

// check says what is wrong with the cluster: every object must be there with
// every field as rendered, there must be no other of its sort, and nobody
// else's may have been touched. What is wrong comes as an endStateError.
func (c *cluster) check(ctx context.Context, want set) error {
	for _, k := range kinds() {
		missing := map[string]*unstructured.Unstructured{}
		for _, space := range want {
			for _, o := range space {
				if o.GroupVersionKind() == k.gvk {
					missing[o.GetNamespace()+"/"+o.GetName()] = o
				}
			}
		}
		if err := c.checkKind(ctx, k, missing); err != nil {
			return err
		}
		for name := range missing {
			return endStateError{fmt.Errorf("%s %s is missing, and %d more", k.gvk.Kind, name, len(missing)-1)}
		}
	}
	if err := c.checkBystander(ctx); err != nil {
		return endStateError{err}
	}
	return nil
}

// checkKind takes from missing what is there as it should be.
func (c *cluster) checkKind(ctx context.Context, k kind, missing map[string]*unstructured.Unstructured) error {
	options := metav1.ListOptions{Limit: pageSize, LabelSelector: schema.LabelManagedBy + "=" + schema.ManagedBy}
	for {
		page, err := c.dynamic.Resource(k.gvr()).List(ctx, options)
		if err != nil {
			return fmt.Errorf("list %s: %w", k.resource, err)
		}
		for i := range page.Items {
			live := &page.Items[i]
			name := live.GetNamespace() + "/" + live.GetName()
			want := missing[name]
			if want == nil {
				if ownNamespace(live) {
					continue
				}
				return endStateError{fmt.Errorf("%s %s is too much", k.gvk.Kind, name)}
			}
			if err := holds(live.Object, want.Object); err != nil {
				return endStateError{fmt.Errorf("%s %s: %w", k.gvk.Kind, name, err)}
			}
			delete(missing, name)
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return nil
		}
	}
}

// ownNamespace says whether Bayplan keeps its own state there.
func ownNamespace(o *unstructured.Unstructured) bool {
	return o.GetNamespace() == schema.SystemNamespace || o.GetName() == schema.SystemNamespace
}

// holds says which field of want live doesn't have; live may have more.
func holds(live, want any) error {
	switch want := want.(type) {
	case map[string]any:
		have, ok := live.(map[string]any)
		if !ok && len(want) > 0 {
			return fmt.Errorf("is %v, not %v", live, want)
		}
		for key, value := range want {
			if err := holds(have[key], value); err != nil {
				return within(key, err)
			}
		}
		return nil
	case []any:
		have, ok := live.([]any)
		if !ok || len(have) != len(want) {
			return fmt.Errorf("is %v, not %v", live, want)
		}
		for i := range want {
			if err := holds(have[i], want[i]); err != nil {
				return within(fmt.Sprint(i), err)
			}
		}
		return nil
	}
	if !equality.Semantic.DeepEqual(live, want) {
		return fmt.Errorf("is %v, not %v", live, want)
	}
	return nil
}

// fieldError names a field from the top.
type fieldError struct {
	path []string
	err  error
}

func (e fieldError) Error() string { return strings.Join(e.path, ".") + ": " + e.err.Error() }

func within(key string, err error) error {
	if inner, ok := errors.AsType[fieldError](err); ok {
		return fieldError{append([]string{key}, inner.path...), inner.err}
	}
	return fieldError{[]string{key}, err}
}
