package kube

import (
	"context"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"bayplan.dev/schema"
)

// listPage bounds one page of a search.
const listPage = 500

// systemObjects are what Kubernetes and its common companions put into every
// namespace, as "<resource>/<name>".
var systemObjects = []string{ //nolint:gochecknoglobals // a table
	"configmaps/kube-root-ca.crt",
	"configmaps/openshift-service-ca.crt",
	"configmaps/istio-ca-root-cert",
	"serviceaccounts/default",
}

// systemResources are made by the system from other objects and go with them.
var systemResources = []string{"events", "endpoints", "endpointslices"} //nolint:gochecknoglobals // a table

// system says whether the object was made by the cluster itself.
func system(resource kschema.GroupVersionResource, o *metav1.PartialObjectMetadata) bool {
	return slices.Contains(systemObjects, resource.Resource+"/"+o.Name)
}

// resources lists what can lie in a namespace and can be listed and deleted.
// What can't be discovered might hide something foreign, so that is an error.
func (c *client) resources(ctx context.Context) ([]kschema.GroupVersionResource, error) {
	lists, err := discovery.ServerPreferredNamespacedResourcesWithContext(ctx, c.discovery)
	if err != nil {
		return nil, schema.Errorf(schema.Unavailable, "search for what is foreign: %w", err)
	}
	var all []kschema.GroupVersionResource
	for _, list := range lists {
		gv, err := kschema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, err
		}
		for _, r := range list.APIResources {
			deletable := slices.Contains(r.Verbs, "list") && slices.Contains(r.Verbs, "delete")
			if deletable && !strings.Contains(r.Name, "/") && !slices.Contains(systemResources, r.Name) {
				all = append(all, gv.WithResource(r.Name))
			}
		}
	}
	return all, nil
}

// listMetadata lists what there is of a resource in the namespace.
func (c *client) listMetadata(ctx context.Context, resource kschema.GroupVersionResource, namespace string) ([]metav1.PartialObjectMetadata, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var all []metav1.PartialObjectMetadata
	options := metav1.ListOptions{Limit: listPage}
	for {
		list, err := c.metadata.Resource(resource).Namespace(namespace).List(ctx, options)
		if apierrors.IsNotFound(err) {
			// The resource has been taken away since it was discovered.
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, list.Items...)
		if list.Continue == "" {
			return all, nil
		}
		options.Continue = list.Continue
	}
}
