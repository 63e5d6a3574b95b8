package kube

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"bayplan.dev/schema"
)

// The times that Kubernetes' own controllers use.
const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
)

// Lead calls run while this process, known by identity, is the leader among
// those that serve the fleet, and returns when run does. When the lease is lost
// run's context ends and Lead returns an Unavailable error: a process that was
// leader begins anew. The election saves work, it guards nothing: two leaders
// are harmless, because every write holds its own precondition.
func Lead(ctx context.Context, config *rest.Config, of, identity string, run func(context.Context) error) error {
	lease := fleet(of).named("bayplan")
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return schema.Errorf(schema.Invalid, "cluster configuration: %w", err)
	}
	namespace := &corev1.Namespace{ObjectMeta: systemMeta("", schema.SystemNamespace)}
	if _, err := client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create namespace %s: %w", schema.SystemNamespace, err)
	}
	// The lease is given back only after run has ended: until then it guards run.
	electing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	leading := make(chan context.Context, 1)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: schema.SystemNamespace, Name: lease},
			Client:     client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: identity},
		},
		LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod,
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) { leading <- ctx },
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return schema.Errorf(schema.Internal, "elect a leader: %w", err)
	}
	over := make(chan struct{})
	go func() { elector.Run(electing); close(over) }()
	defer func() { stop(); <-over }()
	select {
	case <-ctx.Done():
		return nil
	case held := <-leading:
		// run ends with ctx as well as with the lease.
		both, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(held, cancel)() //nolint:contextcheck // the lease has a context of its own
		if err := run(both); err != nil || ctx.Err() != nil {
			return err
		}
		return schema.Errorf(schema.Unavailable, "the lease %s/%s is lost to another leader", schema.SystemNamespace, lease)
	}
}
