package main

import (
	"context"
	"errors"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"bayplan.dev/schema"
)

// testCluster is a stranger's view of the control plane.
type testCluster struct {
	t      *testing.T
	client kubernetes.Interface
}

func newTestCluster(t *testing.T, kubeconfig string) *testCluster {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.Burst = -1, -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return &testCluster{t, client}
}

func (c *testCluster) deployment(id schema.ContainerID) (*appsv1.Deployment, error) {
	return c.client.AppsV1().Deployments(id.Space.Namespace()).Get(c.t.Context(), id.Name, metav1.GetOptions{})
}

func (c *testCluster) mustDeployment(id schema.ContainerID) *appsv1.Deployment {
	c.t.Helper()
	d, err := c.deployment(id)
	if err != nil {
		c.t.Fatal(err)
	}
	return d
}

// namespace is nil when there is none.
func (c *testCluster) namespace(name string) *corev1.Namespace {
	c.t.Helper()
	ns, err := c.client.CoreV1().Namespaces().Get(c.t.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return ns
}

// patch is a stranger's merge patch of a Deployment.
func (c *testCluster) patch(id schema.ContainerID, patch string) {
	c.t.Helper()
	_, err := c.client.AppsV1().Deployments(id.Space.Namespace()).Patch(c.t.Context(), id.Name,
		types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "stranger"})
	if err != nil {
		c.t.Fatal(err)
	}
}

// versions are the resourceVersions of everything in the space's namespace
// that Bayplan manages, with the Namespace itself.
func (c *testCluster) versions(space schema.SpaceID) map[string]string {
	c.t.Helper()
	ns := space.Namespace()
	versions := map[string]string{}
	if n := c.namespace(ns); n != nil {
		versions["Namespace"] = n.ResourceVersion
	}
	add := func(kind string, objects ...metav1.Object) {
		for _, o := range objects {
			versions[kind+"/"+o.GetName()] = o.GetResourceVersion()
		}
	}
	ctx, options := c.t.Context(), metav1.ListOptions{LabelSelector: schema.LabelManagedBy + "=" + schema.ManagedBy}
	deployments, err1 := c.client.AppsV1().Deployments(ns).List(ctx, options)
	services, err2 := c.client.CoreV1().Services(ns).List(ctx, options)
	policies, err3 := c.client.NetworkingV1().NetworkPolicies(ns).List(ctx, options)
	ingresses, err4 := c.client.NetworkingV1().Ingresses(ns).List(ctx, options)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		c.t.Fatal(err)
	}
	for i := range deployments.Items {
		add("Deployment", &deployments.Items[i])
	}
	for i := range services.Items {
		add("Service", &services.Items[i])
	}
	for i := range policies.Items {
		add("NetworkPolicy", &policies.Items[i])
	}
	for i := range ingresses.Items {
		add("Ingress", &ingresses.Items[i])
	}
	return versions
}

// unprotected watches Pods until ctx ends and returns the namespaces in which
// a Pod was seen before the policies of its space.
func (c *testCluster) unprotected(ctx context.Context, prefix string) <-chan []string {
	c.t.Helper()
	found := make(chan []string, 1)
	go func() {
		var bad []string
		checked := map[string]bool{}
		for ctx.Err() == nil {
			w, err := c.client.CoreV1().Pods("").Watch(ctx, metav1.ListOptions{LabelSelector: schema.LabelUser})
			if err != nil {
				continue // the API server is being restarted
			}
			for event := range w.ResultChan() {
				pod, ok := event.Object.(*corev1.Pod)
				if !ok || checked[pod.Namespace] || len(pod.Namespace) < len(prefix) || pod.Namespace[:len(prefix)] != prefix {
					continue
				}
				policies, err := c.client.NetworkingV1().NetworkPolicies(pod.Namespace).List(ctx, metav1.ListOptions{})
				if err != nil {
					continue // seen again when the watch is opened anew
				}
				checked[pod.Namespace] = true
				if !protects(policies.Items, pod) {
					bad = append(bad, pod.Namespace)
				}
			}
		}
		found <- bad
	}()
	return found
}

// protects says whether a policy that denies everything was there before the Pod.
func protects(policies []networkingv1.NetworkPolicy, pod *corev1.Pod) bool {
	for _, p := range policies {
		everyPod := len(p.Spec.PodSelector.MatchLabels) == 0 && len(p.Spec.PodSelector.MatchExpressions) == 0
		if everyPod && len(p.Spec.PolicyTypes) == 2 && len(p.Spec.Ingress) == 0 && len(p.Spec.Egress) == 0 {
			return !p.CreationTimestamp.After(pod.CreationTimestamp.Time)
		}
	}
	return false
}
