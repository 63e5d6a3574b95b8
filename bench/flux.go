package main

import (
	"context"
	"fmt"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/polling"
	"github.com/fluxcd/cli-utils/pkg/kstatus/polling/clusterreader"
	"github.com/fluxcd/cli-utils/pkg/kstatus/polling/engine"
	"github.com/fluxcd/pkg/ssa"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

const fluxManager = "kustomize-controller"

// prepareFlux returns Flux's engine as kustomize-controller uses it, except
// that it looks every 100 ms whether namespaces are ready, not every 2 s.
func prepareFlux(ctx context.Context, config *rest.Config, all set, v variant) (func(context.Context) error, error) {
	manager, err := newFlux(config, v.concurrency)
	if err != nil {
		return nil, err
	}
	options := ssa.DefaultApplyOptions()
	options.WaitInterval = 100 * time.Millisecond
	options.WaitTimeout = 10 * time.Minute
	options.Cleanup.FieldManagers = fluxCleanup()
	sets := split(all, v.sets)
	return func(ctx context.Context) error {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(max(1, v.workers))
		for _, objects := range sets {
			group.Go(func() error {
				_, err := manager.ApplyAllStaged(ctx, objects, options)
				return err
			})
		}
		return group.Wait()
	}, ctx.Err()
}

func newFlux(config *rest.Config, concurrency int) (*ssa.ResourceManager, error) {
	shared, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	mapper, err := apiutil.NewDynamicRESTMapper(config, shared)
	if err != nil {
		return nil, err
	}
	for _, k := range kinds() { // so that discovery is not on the clock
		if _, err := mapper.RESTMapping(k.gvk.GroupKind(), k.gvk.Version); err != nil {
			return nil, fmt.Errorf("discover %s: %w", k.gvk.Kind, err)
		}
	}
	c, err := client.New(config, client.Options{HTTPClient: shared, Mapper: mapper})
	if err != nil {
		return nil, err
	}
	poller := polling.NewStatusPoller(c, mapper, polling.Options{
		ClusterReaderFactory: engine.ClusterReaderFactoryFunc(clusterreader.NewDirectClusterReader),
	})
	manager := ssa.NewResourceManager(c, poller, ssa.Owner{Field: fluxManager, Group: "kustomize.toolkit.fluxcd.io"})
	manager.SetConcurrency(concurrency)
	return manager, nil
}

// fluxCleanup is the controller's own list.
func fluxCleanup() []ssa.FieldManager {
	return []ssa.FieldManager{
		{Name: "kubectl", OperationType: "Apply", ExactMatch: false},
		{Name: "kubectl", OperationType: "Update", ExactMatch: false},
		{Name: "before-first-apply", OperationType: "Update", ExactMatch: false},
		{Name: fluxManager, OperationType: "Update", ExactMatch: true},
	}
}

// split deals the spaces out to so many sets, or to one each.
func split(all set, sets int) [][]*unstructured.Unstructured {
	if sets == 0 {
		return all
	}
	dealt := make([][]*unstructured.Unstructured, min(sets, len(all)))
	for i, space := range all {
		n := i % len(dealt)
		dealt[n] = append(dealt[n], space...)
	}
	return dealt
}
