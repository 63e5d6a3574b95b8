package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"bayplan.dev/reconcile/kube"
	"bayplan.dev/reconcile/kube/kubetest"
)

// manifest decodes the documents of a kind out of deploy/rbac.yaml.
func manifest[T any](t *testing.T, kind string) []T {
	t.Helper()
	text, err := os.ReadFile("../../deploy/rbac.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var found []T
	for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
		var meta metav1.TypeMeta
		var object T
		if err := yaml.Unmarshal(document, &meta); err != nil {
			t.Fatal(err)
		}
		if meta.Kind != kind {
			continue
		}
		if err := yaml.Unmarshal(document, &object); err != nil {
			t.Fatal(err)
		}
		found = append(found, object)
	}
	return found
}

// TestRoleGrantsWhatIsNeeded holds deploy/rbac.yaml to the rights that the
// server asks for and could use, no more and no less.
func TestRoleGrantsWhatIsNeeded(t *testing.T) {
	granted := map[kube.Right]bool{}
	grant := func(namespace string, rules []rbacv1.PolicyRule) {
		for _, rule := range rules {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						granted[kube.Right{Group: group, Resource: resource, Verb: verb, Namespace: namespace}] = true
					}
				}
			}
		}
	}
	for _, role := range manifest[rbacv1.ClusterRole](t, "ClusterRole") {
		grant("", role.Rules)
	}
	for _, role := range manifest[rbacv1.Role](t, "Role") {
		grant(role.Namespace, role.Rules)
	}
	for _, right := range slices.Concat(kube.Rights(), kube.Wishes()) {
		if !granted[right] {
			t.Errorf("deploy/rbac.yaml doesn't grant %s", right)
		}
		delete(granted, right)
	}
	for right := range granted {
		t.Errorf("deploy/rbac.yaml grants %s, which nothing needs", right)
	}
}

// TestServeRunsWithItsRoleAlone serves as the ServiceAccount of deploy/rbac.yaml,
// with leader election, and before that as one that may do nothing.
func TestServeRunsWithItsRoleAlone(t *testing.T) {
	admin := kubetest.Kubeconfig(t)
	cluster := newTestCluster(t, admin)
	poor := cluster.account(t, admin, "poor")
	out := bayFails(t, 4, "serve", "--host", t.TempDir(), "--listen", "127.0.0.1:0", "--metrics-listen", "", "--kubeconfig", poor)
	for _, want := range []string{"patch deployments.apps", "watch pods", "create namespaces"} {
		if !strings.Contains(out, want) {
			t.Errorf("the error doesn't name %q: %s", want, out)
		}
	}

	for _, role := range manifest[rbacv1.ClusterRole](t, "ClusterRole") {
		_, err := cluster.client.RbacV1().ClusterRoles().Create(t.Context(), &role, metav1.CreateOptions{})
		must(t, err)
	}
	for _, binding := range manifest[rbacv1.ClusterRoleBinding](t, "ClusterRoleBinding") {
		_, err := cluster.client.RbacV1().ClusterRoleBindings().Create(t.Context(), &binding, metav1.CreateOptions{})
		must(t, err)
	}
	own := cluster.account(t, admin, "bayplan")
	for _, role := range manifest[rbacv1.Role](t, "Role") {
		_, err := cluster.client.RbacV1().Roles(role.Namespace).Create(t.Context(), &role, metav1.CreateOptions{})
		must(t, err)
	}
	for _, binding := range manifest[rbacv1.RoleBinding](t, "RoleBinding") {
		_, err := cluster.client.RbacV1().RoleBindings(binding.Namespace).Create(t.Context(), &binding, metav1.CreateOptions{})
		must(t, err)
	}
	config := filepath.Join(t.TempDir(), "config.yaml")
	must(t, os.WriteFile(config, []byte("cluster: {leaderElection: true}\n"), 0o600))
	user := kubetest.Space(t).User
	s := startBay(t, own, string(user), "--config", config)
	f := &fleet{bayServer: s, clone: s.clone(), cluster: cluster, user: user}
	id := f.id("web", "web")
	f.add(id)
	f.synced("Add web")
	f.cluster.mustDeployment(id)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
}

// account writes a kubeconfig that speaks as a ServiceAccount of bayplan-system.
func (c *testCluster) account(t *testing.T, admin, name string) string {
	t.Helper()
	const namespace = "bayplan-system"
	_, err := c.client.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	must(t, err)
	_, err = c.client.CoreV1().ServiceAccounts(namespace).Create(t.Context(),
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	must(t, err)
	token, err := c.client.CoreV1().Secrets(namespace).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name + "-token", Annotations: map[string]string{corev1.ServiceAccountNameKey: name}},
		Type:       corev1.SecretTypeServiceAccountToken,
	}, metav1.CreateOptions{})
	must(t, err)
	waitFor(t, "the token of the account", func() (bool, string) {
		token, err = c.client.CoreV1().Secrets(namespace).Get(t.Context(), name+"-token", metav1.GetOptions{})
		must(t, err)
		return len(token.Data[corev1.ServiceAccountTokenKey]) > 0, token.Name
	})
	config, err := clientcmd.LoadFromFile(admin)
	must(t, err)
	config.AuthInfos = map[string]*clientcmdapi.AuthInfo{}
	for _, context := range config.Contexts {
		context.AuthInfo = name
	}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: string(token.Data[corev1.ServiceAccountTokenKey])}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, clientcmd.WriteToFile(*config, file))
	return file
}

// bayFails runs bay, which must end with the code, and returns its errors.
func bayFails(t *testing.T, code int, args ...string) string {
	t.Helper()
	cmd := bayCommand(args...)
	out, _ := cmd.CombinedOutput() // the exit code is what counts
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("bay %s: exit code %d, want %d\n%s", strings.Join(args, " "), got, code, out)
	}
	return string(out)
}
