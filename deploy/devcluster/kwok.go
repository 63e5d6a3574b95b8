package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	nodestages "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	heartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	podstages "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	"sigs.k8s.io/kwok/pkg/apis/internalversion"
	"sigs.k8s.io/kwok/pkg/client/clientset/versioned"
	"sigs.k8s.io/kwok/pkg/config"
	"sigs.k8s.io/kwok/pkg/kwok/controllers"
	"sigs.k8s.io/kwok/pkg/log"
	"sigs.k8s.io/kwok/pkg/utils/client"
)

const (
	kwokVersion = "v0.8.0"
	// kwokAnnotation marks the nodes that kwok plays.
	kwokAnnotation = "kwok.x-k8s.io/node"
	podRange       = "10.42.0.0/16"
	// A renewal each minute is enough for nodes that cannot get lost.
	leaseSeconds    = 240
	kwokParallelism = 16
)

func kwokComponent(level logLevel) component {
	return component{kwokName, []string{"--kubeconfig=config/kwok.kubeconfig", "--log-level=" + string(level)}}
}

// runKwok plays the kubelet of each simulated node until it is told to end. It uses kwok's packages,
// not its command: that one and Kubernetes' want the same global flag.
func runKwok(args []string) error {
	flags := flag.NewFlagSet(kwokName, flag.ContinueOnError)
	path := flags.String("kubeconfig", "", "where the API server is")
	level := flags.String("log-level", "warn", "kwok's own log level")
	if err := flags.Parse(args); err != nil {
		return err
	}
	parsed, err := log.ParseLevel(*level)
	if err != nil {
		return fmt.Errorf("kwok: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ctx = log.NewContext(ctx, log.NewLogger(os.Stderr, parsed))

	conf, err := kwokConfig(*path)
	if err != nil {
		return fmt.Errorf("kwok: %w", err)
	}
	controller, err := controllers.NewController(conf)
	if err != nil {
		return fmt.Errorf("kwok: %w", err)
	}
	if err := controller.Start(ctx); err != nil {
		return fmt.Errorf("kwok: %w", err)
	}
	<-ctx.Done()
	return nil
}

func kwokConfig(path string) (controllers.Config, error) {
	stages, err := kwokStages()
	if err != nil {
		return controllers.Config{}, err
	}
	conf := controllers.Config{
		Clock:                             clock.RealClock{},
		ManageNodesWithAnnotationSelector: kwokAnnotation + "=fake",
		CIDR:                              podRange,
		LocalStages:                       stages,
		PodPlayStageParallelism:           kwokParallelism,
		NodePlayStageParallelism:          kwokParallelism,
		PodsOnNodeSyncParallelism:         kwokParallelism,
		EnablePodsOnNodeSyncListPager:     true,
		NodeLeaseParallelism:              kwokParallelism,
		NodeLeaseDurationSeconds:          leaseSeconds,
		// The same at each start: it never waits for its own lease to end.
		ID: "devcluster",
	}
	err = addClients(&conf, path)
	return conf, err
}

func addClients(conf *controllers.Config, path string) error {
	clients, err := client.NewClientset("", path)
	if err != nil {
		return err
	}
	config, err := clients.ToRESTConfig()
	if err != nil {
		return err
	}
	conf.ImpersonatingDynamicClient = clients.ToImpersonatingDynamicClient()
	conf.ImpersonatingTypedClient = clients.ToImpersonatingTypedClient()
	if conf.DynamicClient, err = clients.ToDynamicClient(); err != nil {
		return err
	}
	if conf.RESTMapper, err = clients.ToRESTMapper(); err != nil {
		return err
	}
	if conf.RESTClient, err = rest.RESTClientFor(config); err != nil {
		return err
	}
	if conf.TypedClient, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	conf.TypedKwokClient, err = versioned.NewForConfig(config)
	return err
}

// kwokStages are what happens to nodes and Pods: they are ready at once, and go when they are deleted.
func kwokStages() (map[internalversion.StageResourceRef][]*internalversion.Stage, error) {
	stages := map[internalversion.StageResourceRef][]*internalversion.Stage{}
	for _, text := range []string{
		nodestages.DefaultNodeInit,
		heartbeat.DefaultNodeHeartbeatWithLease,
		podstages.DefaultPodReady,
		podstages.DefaultPodComplete,
		podstages.DefaultPodDelete,
	} {
		stage, err := config.UnmarshalWithType[*internalversion.Stage](text)
		if err != nil {
			return nil, fmt.Errorf("read stage: %w", err)
		}
		stages[stage.Spec.ResourceRef] = append(stages[stage.Spec.ResourceRef], stage)
	}
	return stages, nil
}
