//go:build e2e

package access

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"bayplan.dev/schema"
)

// arena is a namespace on a real node.
type arena struct {
	*Access
	config *rest.Config
	client kubernetes.Interface
	space  schema.SpaceID
}

func newArena(t *testing.T) *arena {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("BAYPLAN_TEST_KUBECONFIG"))
	if err != nil {
		t.Fatalf("BAYPLAN_TEST_KUBECONFIG must name a cluster with a real node (bin/devcluster run --node real): %v", err)
	}
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	random := make([]byte, 4)
	if _, err := rand.Read(random); err != nil {
		t.Fatal(err)
	}
	a := &arena{config: config, client: client, space: schema.SpaceID{User: schema.User(fmt.Sprintf("e%x", random)), Name: "shop"}}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: a.space.Namespace(), Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}}
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := client.CoreV1().Namespaces().Delete(context.WithoutCancel(t.Context()), a.space.Namespace(), metav1.DeleteOptions{})
		if err != nil {
			t.Error(err)
		}
	})
	a.Access = a.through(t, config)
	return a
}

// through is an Access that takes another way to the API server.
func (a *arena) through(t *testing.T, config *rest.Config) *Access {
	t.Helper()
	access, err := New(Options{Config: config, Locate: a.find})
	if err != nil {
		t.Fatal(err)
	}
	return access
}

func (a *arena) id(name string) schema.ContainerID {
	return schema.ContainerID{Space: a.space, Name: name}
}

// find asks the API server, where the watches would know.
func (a *arena) find(id schema.ContainerID) (Target, error) {
	pod, err := a.client.CoreV1().Pods(id.Space.Namespace()).Get(context.Background(), id.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return Target{}, schema.Errorf(schema.NotFound, "container %s isn't in the cluster", id)
	case err != nil:
		return Target{}, err
	}
	t := Target{Namespace: pod.Namespace, Pod: pod.Name, UID: string(pod.UID), Container: pod.Spec.Containers[0].Name, Node: pod.Spec.NodeName}
	if statuses := pod.Status.ContainerStatuses; len(statuses) == 0 || statuses[0].State.Running == nil {
		t.Down = "it is being started"
	}
	return t, nil
}

// image is that of a test container.
func image(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s must name an image; bin/devcluster run --node real sets it", name)
	}
	return value
}

// spec is a container as Bayplan would render it.
func spec(name, image string, command ...string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken:  new(false),
			TerminationGracePeriodSeconds: new(int64(1)),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), RunAsUser: new(int64(1000)),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: name, Image: image, Command: command,
				SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}},
			}},
		},
	}
}

// pod runs a container and waits until it does.
func (a *arena) pod(t *testing.T, pod *corev1.Pod) schema.ContainerID {
	t.Helper()
	if _, err := a.client.CoreV1().Pods(a.space.Namespace()).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	id := a.id(pod.Name)
	a.eventually(t, pod.Name+" runs", func() bool {
		target, err := a.find(id)
		return err == nil && target.Down == ""
	})
	return id
}

// busybox runs a container that does nothing.
func (a *arena) busybox(t *testing.T) schema.ContainerID {
	t.Helper()
	return a.pod(t, spec("web", image(t, "BAYPLAN_TEST_IMAGE"), "sh", "-c", "trap exit TERM; while :; do sleep 1; done"))
}

func (a *arena) eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// output runs a command line that succeeds, and returns what it writes.
func (a *arena) output(t *testing.T, id schema.ContainerID, line string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	exit, err := a.Exec(t.Context(), id, Exec{Command: []string{"sh", "-c", line}, Stdout: &stdout, Stderr: &stderr})
	if err != nil || exit.Code != 0 {
		t.Fatalf("%s: %+v, error %v, stderr %q", line, exit, err, stderr.String())
	}
	return strings.TrimSpace(stdout.String())
}
