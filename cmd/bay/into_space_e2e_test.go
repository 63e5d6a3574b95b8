//go:build e2e

package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"bayplan.dev/reconcile/kube/kubetest"
	"bayplan.dev/schema"
)

// sweep has the user's namespaces removed at the end, whatever they are, and
// their containers ended.
func sweep(t *testing.T, user func() schema.User) {
	t.Helper()
	kubeconfig := kubetest.Kubeconfig(t)
	t.Cleanup(func() {
		namespaces := newTestCluster(t, kubeconfig).client.CoreV1().Namespaces()
		ctx := context.WithoutCancel(t.Context())
		list, err := namespaces.List(ctx, metav1.ListOptions{LabelSelector: "bayplan.dev/user=" + string(user())})
		if err != nil {
			t.Error(err)
			return
		}
		for i := range list.Items {
			if err := namespaces.Delete(ctx, list.Items[i].Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
				t.Error(err)
			}
		}
	})
}

// hand adds a container to a space, and waits until it is ready.
func (f *fleet) hand(space, name string, args ...string) schema.ContainerID {
	f.t().Helper()
	args = append([]string{"run", "--image", os.Getenv(testImage), "--space", space, "--name", name, "--user", string(f.user), "--memory", "64Mi", "--timeout", "3m"}, args...)
	f.bay(exitOK, args...)
	return f.id(space, name)
}

// The Pod of a container has what the Pod Security standard "restricted" asks
// for and more, and inside it is so.
func TestE2EPodIsRestricted(t *testing.T) {
	f := newShip(t)
	id := f.hand("web", "web", "--port", "8080", "--", "sh", "-c", serving)
	ns := f.cluster.namespace(id.Space.Namespace())
	if got := ns.Labels["pod-security.kubernetes.io/enforce"]; got != "restricted" {
		t.Errorf("the namespace enforces %q", got)
	}
	pods, err := f.cluster.client.CoreV1().Pods(ns.Name).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(pods.Items) != 1 {
		t.Fatalf("%d Pods, %v", len(pods.Items), err)
	}
	pod := pods.Items[0].Spec
	container := pod.Containers[0].SecurityContext
	type word struct {
		token, links, nonRoot, escalation, host bool
		seccomp                                 corev1.SeccompProfileType
		drop                                    []corev1.Capability
		add                                     int
	}
	got := word{
		*pod.AutomountServiceAccountToken, *pod.EnableServiceLinks, *pod.SecurityContext.RunAsNonRoot, *container.AllowPrivilegeEscalation,
		pod.HostNetwork || pod.HostPID || pod.HostIPC || container.Privileged != nil && *container.Privileged,
		pod.SecurityContext.SeccompProfile.Type, container.Capabilities.Drop, len(container.Capabilities.Add),
	}
	want := word{nonRoot: true, seccomp: corev1.SeccompProfileTypeRuntimeDefault, drop: []corev1.Capability{"ALL"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(word{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, v := range pod.Volumes {
		if v.HostPath != nil || v.Projected != nil {
			t.Errorf("volume %+v", v)
		}
	}
	inside := f.bay(exitOK, "exec", id.String(), "--", "sh", "-c", `grep -E '^(Uid|Cap...|NoNewPrivs|Seccomp):' /proc/1/status | tr -s '\t' ' '
ls /var/run/secrets/kubernetes.io 2>/dev/null; env | grep ^WEB_`+"\ntrue")
	const nothing = "0000000000000000\n"
	if diff := cmp.Diff("Uid: 1000 1000 1000 1000\nCapInh: "+nothing+"CapPrm: "+nothing+"CapEff: "+nothing+"CapBnd: "+nothing+"CapAmb: "+nothing+
		"NoNewPrivs: 1\nSeccomp: 2\n", inside); diff != "" {
		t.Errorf("inside (-want +got):\n%s", diff)
	}
}

// Containers of a space reach each other by name, and nobody else reaches them,
// by no name or address; nor do they reach the cluster's own.
func TestE2ESpacesAreApart(t *testing.T) {
	f := newShip(t)
	web := f.hand("blue", "web", "--port", "8080", "--", "sh", "-c", serving)
	friend := f.hand("blue", "friend", "--", "sh", "-c", serving).String()
	stranger := f.hand("red", "stranger", "--", "sh", "-c", serving).String()
	pod := strings.TrimSpace(f.bay(exitOK, "exec", web.String(), "--", "hostname", "-i"))
	service, err := f.cluster.client.CoreV1().Services(web.Space.Namespace()).Get(t.Context(), "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	fetch := func(from, host string) answer {
		return f.said("", "exec", from, "--", "sh", "-c", `(echo "GET / HTTP/1.0"; echo; sleep 3) | nc -w 3 "$0" 8080 | tail -n 1 | grep page`, host)
	}
	long := "web." + web.Space.Namespace() + ".svc.cluster.local"
	for _, host := range []string{"web", "web." + web.Space.Namespace(), long, service.Spec.ClusterIP, pod} {
		waitFor(t, "a neighbour at "+host, func() (bool, string) {
			got := fetch(friend, host)
			return got.stdout == "page\n", fmt.Sprintf("%+v", got)
		})
	}
	for _, host := range []string{"web", long, service.Spec.ClusterIP, pod} {
		if got := fetch(stranger, host); got.code == exitOK || got.stdout != "" {
			t.Errorf("somebody of another space reaches %s: %+v", host, got)
		}
	}
	kubernetes, err := f.cluster.client.CoreV1().Services("default").Get(t.Context(), "kubernetes", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := f.said("", "exec", friend, "--", "sh", "-c", `echo | nc -w 3 "$0" 443 && echo in`, kubernetes.Spec.ClusterIP); got.code == exitOK {
		t.Errorf("the API server is reached: %+v", got)
	}
	// That the names are known at all, and the way out of a space's DNS is open.
	if got := f.said("", "exec", stranger, "--", "nslookup", long); !strings.Contains(got.stdout, service.Spec.ClusterIP) {
		t.Errorf("DNS: %+v", got)
	}
}
