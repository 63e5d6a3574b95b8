package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
)

// kind is a kind of object that is rendered.
type kind struct {
	resource string
	cluster  bool
	gvk      kschema.GroupVersionKind
}

func (k kind) gvr() kschema.GroupVersionResource {
	return k.gvk.GroupVersion().WithResource(k.resource)
}

// kinds are those that the fleets of this program render to.
func kinds() []kind {
	return []kind{
		{"namespaces", true, kschema.GroupVersionKind{Version: "v1", Kind: "Namespace"}},
		{"networkpolicies", false, kschema.GroupVersionKind{Group: "networking.k8s.io", Version: "v1", Kind: "NetworkPolicy"}},
		{"serviceaccounts", false, kschema.GroupVersionKind{Version: "v1", Kind: "ServiceAccount"}},
		{"resourcequotas", false, kschema.GroupVersionKind{Version: "v1", Kind: "ResourceQuota"}},
		{"limitranges", false, kschema.GroupVersionKind{Version: "v1", Kind: "LimitRange"}},
		{"deployments", false, kschema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}},
		{"services", false, kschema.GroupVersionKind{Version: "v1", Kind: "Service"}},
		{"ingresses", false, kschema.GroupVersionKind{Group: "networking.k8s.io", Version: "v1", Kind: "Ingress"}},
	}
}

func kindsByGVK() map[kschema.GroupVersionKind]kind {
	byGVK := map[kschema.GroupVersionKind]kind{}
	for _, k := range kinds() {
		byGVK[k.gvk] = k
	}
	return byGVK
}

// write writes the objects to a file, one line a space.
func (s set) write(file string) error {
	f, err := os.Create(file) //nolint:gosec // below the run's own folder
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	encoder := json.NewEncoder(w)
	for _, space := range s {
		if err := encoder.Encode(space); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return errors.Join(w.Flush(), f.Close())
}

// readSet reads what write wrote.
func readSet(file string) (set, error) {
	f, err := os.Open(file) //nolint:gosec // the parent named it
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	decoder := json.NewDecoder(bufio.NewReaderSize(f, 1<<20))
	var all set
	for {
		var space []*unstructured.Unstructured
		err := decoder.Decode(&space)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read objects: %w", err)
		}
		all = append(all, space)
	}
}

// writeManifests writes the objects as one list that kubectl reads. The
// namespaces come first, as its users would have it.
func (s set) writeManifests(file string) error {
	var first, rest []*unstructured.Unstructured
	for _, space := range s {
		for _, o := range space {
			if o.GetKind() == "Namespace" {
				first = append(first, o)
			} else {
				rest = append(rest, o)
			}
		}
	}
	text, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": append(first, rest...)})
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}
