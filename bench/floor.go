package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// sent is one object ready to be sent.
type sent struct {
	path string
	body []byte
}

// prepareRaw returns the floor: one forced server-side apply an object and
// nothing else, each space's objects in their order, the spaces side by side.
func prepareRaw(ctx context.Context, config *rest.Config, all set, v variant) (func(context.Context) error, error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	spaces := make([][]sent, len(all))
	for i, space := range all {
		for _, o := range space {
			s, err := toSend(o)
			if err != nil {
				return nil, err
			}
			spaces[i] = append(spaces[i], s)
		}
	}
	if _, err := client.Discovery().ServerVersion(); err != nil { // opens the connection
		return nil, err
	}
	return func(ctx context.Context) error {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(v.workers)
		for _, space := range spaces {
			group.Go(func() error { return sendAll(ctx, client.CoreV1().RESTClient(), space) })
		}
		return group.Wait()
	}, ctx.Err()
}

func sendAll(ctx context.Context, client rest.Interface, space []sent) error {
	for _, s := range space {
		_, err := client.Verb(http.MethodPatch).AbsPath(s.path).
			SetHeader("Content-Type", string(types.ApplyPatchType)).
			Param("fieldManager", "raw").Param("force", "true").Body(s.body).Do(ctx).Raw()
		if err != nil {
			return fmt.Errorf("apply %s: %w", s.path, err)
		}
	}
	return nil
}

func toSend(o *unstructured.Unstructured) (sent, error) {
	gvk := o.GroupVersionKind()
	k, ok := kindsByGVK()[gvk]
	if !ok {
		return sent{}, fmt.Errorf("%s is no kind that this program knows", gvk)
	}
	prefix := []string{"", "apis", gvk.Group, gvk.Version}
	if gvk.Group == "" {
		prefix = []string{"", "api", gvk.Version}
	}
	if !k.cluster {
		prefix = append(prefix, "namespaces", o.GetNamespace())
	}
	body, err := o.MarshalJSON()
	return sent{strings.Join(append(prefix, k.resource, o.GetName()), "/"), body}, err
}
