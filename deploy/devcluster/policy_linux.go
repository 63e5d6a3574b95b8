package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// policyPause lets changes that come together make one set of rules.
const policyPause = 20 * time.Millisecond

func policyComponent(encoded string) component { return component{policyName, []string{encoded}} }

// runPolicy makes the node's firewall follow the network policies, until it is told to end; the rules stay.
func runPolicy(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var config machineConfig
	if err := json.Unmarshal([]byte(strings.Join(args, "")), &config); err != nil {
		return fmt.Errorf("read the node's configuration: %w", err)
	}
	client, err := nodeClient("network-policy.kubeconfig")
	if err != nil {
		return fmt.Errorf("network policies: %w", err)
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	pods := factory.Core().V1().Pods()
	namespaces := factory.Core().V1().Namespaces()
	policies := factory.Networking().V1().NetworkPolicies()
	changed := make(chan struct{}, 1)
	look := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	handler := cache.ResourceEventHandlerFuncs{AddFunc: func(any) { look() }, UpdateFunc: func(any, any) { look() }, DeleteFunc: func(any) { look() }}
	for _, informer := range []cache.SharedIndexInformer{pods.Informer(), namespaces.Informer(), policies.Informer()} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return fmt.Errorf("network policies: %w", err)
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	last := ""
	for {
		v := view{podRange: config.Network.podRange(), host: config.Network.hostIP()}
		v.pods, _ = pods.Lister().List(labels.Everything()) // a lister reads memory: it cannot fail
		v.namespaces, _ = namespaces.Lister().List(labels.Everything())
		v.policies, _ = policies.Lister().List(labels.Everything())
		v.pods = append(v.pods, resolverPod(config))
		if rules := v.rules(); rules != last {
			if err := loadRules(ctx, rules); err != nil && ctx.Err() == nil {
				return fmt.Errorf("network policies: %w", err)
			}
			last = rules
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			time.Sleep(policyPause)
		}
	}
}

// resolverPod stands for the node's own DNS, which is no Pod but is selected as the Pods of other clusters' DNS are.
func resolverPod(config machineConfig) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: dnsService, Labels: map[string]string{"k8s-app": dnsService}},
		Status:     corev1.PodStatus{PodIP: config.Network.nodeIP().String(), Phase: corev1.PodRunning},
	}
}

// loadRules replaces rules at once, or changes nothing.
func loadRules(ctx context.Context, rules string) error {
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, out)
	}
	return nil
}
