package kube

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"

	"bayplan.dev/schema"
)

// TestFlowSchemaTakesOurRequests holds deploy/flowschema.yaml to a real API
// server: it is accepted, and a request of the ServiceAccount of
// deploy/rbac.yaml belongs to it.
func TestFlowSchemaTakesOurRequests(t *testing.T) {
	b := newBench(t)
	applied := map[string]*unstructured.Unstructured{}
	for _, o := range documents(t, "../../deploy/flowschema.yaml") {
		resource := b.dynamic.Resource(o.GroupVersionKind().GroupVersion().WithResource(map[string]string{
			"FlowSchema": "flowschemas", "PriorityLevelConfiguration": "prioritylevelconfigurations",
		}[o.GetKind()]))
		live, err := resource.Apply(t.Context(), o.GetName(), o, metav1.ApplyOptions{FieldManager: "test", Force: true})
		if err != nil {
			t.Fatalf("apply %s: %v", o.GetKind(), err)
		}
		t.Cleanup(func() {
			err := resource.Delete(context.WithoutCancel(t.Context()), o.GetName(), metav1.DeleteOptions{})
			if err != nil && !apierrors.IsNotFound(err) {
				t.Error(err)
			}
		})
		applied[live.GetKind()] = live
	}
	config := rest.CopyConfig(b.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:" + schema.SystemNamespace + ":bayplan"}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/api/v1/namespaces/" + b.id.Namespace() + "/pods", "/api/v1/namespaces", "/apis"} {
		eventually(t, "the API server has read both", func() bool {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, config.Host+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			if err := response.Body.Close(); err != nil {
				t.Fatal(err)
			}
			return response.Header.Get("X-Kubernetes-Pf-Flowschema-Uid") == string(applied["FlowSchema"].GetUID()) &&
				response.Header.Get("X-Kubernetes-Pf-Prioritylevel-Uid") == string(applied["PriorityLevelConfiguration"].GetUID())
		})
	}
}

// documents reads the objects of a file.
func documents(t *testing.T, file string) []*unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), len(text))
	for {
		o := &unstructured.Unstructured{}
		if err := decoder.Decode(&o.Object); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
}
