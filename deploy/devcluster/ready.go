package main

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	probeNamespace = metav1.NamespaceSystem
	probeName      = "devcluster-probe"
)

// check is one thing that must be so before the cluster is called usable.
type check struct {
	what  string
	ready func(context.Context) error
}

// checks follow each other. With nodes, the last one needs every component: a Pod needs a service
// account from the controller manager, a node from the scheduler, and kwok to run.
func (c *cluster) checks() []check {
	checks := []check{{controllerManagerName, c.accountsReady}}
	switch {
	case c.node == realKind:
		checks = append(checks, check{"real node", c.realNodeReady}, check{"scheduler and probe pod", c.podRuns})
	case c.nodes > 0:
		checks = append(checks, check{"simulated nodes", c.nodesReady}, check{"scheduler and probe pod", c.podRuns})
	}
	return checks
}

func (c *cluster) apiserverReady(ctx context.Context) error {
	return c.client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
}

func (c *cluster) accountsReady(ctx context.Context) error {
	for _, namespace := range []string{metav1.NamespaceDefault, probeNamespace} {
		if _, err := c.client.CoreV1().ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{}); err != nil {
			return err
		}
		if _, err := c.client.CoreV1().ConfigMaps(namespace).Get(ctx, "kube-root-ca.crt", metav1.GetOptions{}); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) nodesReady(ctx context.Context) error {
	nodes, err := c.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: simulatedLabel})
	if err != nil {
		return err
	}
	for _, node := range nodes.Items {
		if !nodeReady(&node) {
			return fmt.Errorf("node %s is not ready", node.Name)
		}
	}
	if len(nodes.Items) < c.nodes {
		return fmt.Errorf("%d of %d nodes", len(nodes.Items), c.nodes)
	}
	return nil
}

func (c *cluster) realNodeReady(ctx context.Context) error {
	node, err := c.client.CoreV1().Nodes().Get(ctx, realNode, metav1.GetOptions{})
	if err == nil && !nodeReady(node) {
		err = fmt.Errorf("node %s is not ready", realNode)
	}
	return err
}

func nodeReady(node *corev1.Node) bool {
	if len(node.Spec.Taints) > 0 {
		return false // not-ready:NoSchedule goes a moment after the condition comes
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// podRuns makes a Pod, which it takes away once it runs.
func (c *cluster) podRuns(ctx context.Context) error {
	pods := c.client.CoreV1().Pods(probeNamespace)
	pod, err := pods.Get(ctx, probeName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		_, err := pods.Create(ctx, c.probePod(), metav1.CreateOptions{})
		return errors.Join(err, errors.New("the probe pod is new"))
	case err != nil:
		return err
	case pod.Status.Phase != corev1.PodRunning || pod.DeletionTimestamp != nil:
		return fmt.Errorf("the probe pod is %s", pod.Status.Phase)
	}
	return pods.Delete(ctx, probeName, metav1.DeleteOptions{})
}

func (c *cluster) probePod() *corev1.Pod {
	if c.node == realKind {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: probeName},
			Spec: corev1.PodSpec{
				TerminationGracePeriodSeconds: new(int64(0)),
				Containers:                    []corev1.Container{{Name: "probe", Image: imageRegistry + "/" + pauseImage}},
			},
		}
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: probeName, Labels: map[string]string{simulatedLabel: "true"}},
		Spec: corev1.PodSpec{
			NodeSelector: map[string]string{simulatedLabel: "true"},
			Containers:   []corev1.Container{{Name: "probe", Image: "simulated"}},
		},
	}
}
