//go:build e2e && linux

package main

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// testMetricsAPI asks as somebody who may look at one namespace.
func testMetricsAPI(t *testing.T, up *running) {
	t.Helper()
	_, err := up.client.RbacV1().RoleBindings("default").Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "viewer"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "viewer"}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", up.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.Impersonate.UserName = "viewer"
	viewer, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	eventually(t, "metrics", func() error {
		body, err := viewer.CoreV1().RESTClient().Get().AbsPath("/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/kept").DoRaw(t.Context())
		if err != nil {
			return err
		}
		var got struct {
			Timestamp  time.Time
			Containers []struct{ Usage map[string]string }
		}
		if err := json.Unmarshal(body, &got); err != nil {
			return err
		}
		if len(got.Containers) != 1 || got.Containers[0].Usage["cpu"] == "" || got.Containers[0].Usage["memory"] == "" || got.Timestamp.Before(began) {
			return fmt.Errorf("nothing, or not all, or nothing new, about the pod in %s", body)
		}
		return nil
	})
	if _, err := viewer.CoreV1().RESTClient().Get().AbsPath("/apis/metrics.k8s.io/v1beta1/namespaces/kube-system/pods").DoRaw(t.Context()); err == nil {
		t.Error("the viewer of a namespace sees another's metrics")
	}
}

// testMetricsForgotten wants no trace of an API that nobody serves: it would keep namespaces from being deleted.
func testMetricsForgotten(t *testing.T, dir string) {
	t.Helper()
	up := startUp(t, dir)
	groups, err := up.client.Discovery().ServerGroups()
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range groups.Groups {
		if group.Name == metricsGroup {
			t.Errorf("there is %v", group)
		}
	}
}
