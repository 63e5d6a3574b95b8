package kube

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"bayplan.dev/schema"
)

// limited is a Cluster for a user who has the rights but those that leave drops.
func (b *bench) limited(t *testing.T, drop ...Right) *bench {
	t.Helper()
	name := "limited-" + string(b.id.User)
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, right := range Rights() {
		if !slices.Contains(drop, right) {
			role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{right.Group}, Resources: []string{right.Resource}, Verbs: []string{right.Verb}})
		}
	}
	if _, err := b.stranger.RbacV1().ClusterRoles().Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
	}
	if _, err := b.stranger.RbacV1().ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	config := rest.CopyConfig(b.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: []string{"system:authenticated"}}
	return benchOn(t, config, b.id)
}

func TestCheck(t *testing.T) {
	b := newBench(t)
	if err := b.Check(t.Context()); err != nil {
		t.Errorf("an administrator: %v", err)
	}
	if err := b.limited(t).Check(t.Context()); err != nil {
		t.Errorf("exactly the rights: %v", err)
	}
}

// The rights are enough for everything, and none of them is missing from the table.
func TestRightsSuffice(t *testing.T) {
	b := newBench(t).limited(t)
	list := objects(t, b.id)
	b.mustApply(t, list, revision1)
	b.settle(t)
	b.pruned(t, parse(t, b.id, spaceText), 0)
	b.removed(t, 0)
	state, err := b.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.SaveState(t.Context(), state); err != nil {
		t.Error(err)
	}
}

func TestMissingRightsAreNamed(t *testing.T) {
	missing := []Right{{Group: "apps", Resource: "deployments", Verb: "patch"}, {Resource: "namespaces", Verb: "delete"}}
	b := newBench(t).limited(t, missing...)
	err := b.Check(t.Context())
	if got := schema.CodeOf(err); got != schema.Forbidden {
		t.Fatalf("code %q of %v, want forbidden", got, err)
	}
	_, list, _ := strings.Cut(err.Error(), "doesn't allow: ")
	if diff := cmp.Diff("delete namespaces, patch deployments.apps", list); diff != "" {
		t.Errorf("missing rights (-want +got):\n%s", diff)
	}

	_, err = b.Apply(t.Context(), b.id, objects(t, b.id), revision1)
	if got := schema.CodeOf(err); got != schema.Forbidden {
		t.Fatalf("code %q of %v, want forbidden", got, err)
	}
	for _, want := range []string{"apply Deployment/", `cannot patch resource "deployments"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q doesn't say %q", err, want)
		}
	}
}

func TestCheckWithoutServer(t *testing.T) {
	c, err := New(&rest.Config{Host: "https://127.0.0.1:1"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = c.Check(t.Context())
	if schema.CodeOf(err) != schema.Unavailable || !strings.Contains(err.Error(), "https://127.0.0.1:1") {
		t.Errorf("error %v, want unavailable with the server's address", err)
	}
}
