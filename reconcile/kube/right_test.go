package kube

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
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
	check := func(who string, b *bench) {
		t.Helper()
		b.wire.reset()
		if err := b.Check(t.Context()); err != nil {
			t.Errorf("%s: %v", who, err)
		}
		if diff := cmp.Diff([]string{"POST /apis/authorization.k8s.io/v1/selfsubjectrulesreviews"}, b.wire.writes()); diff != "" {
			t.Errorf("%s: requests (-want +got):\n%s", who, diff)
		}
	}
	check("an administrator", b)
	check("exactly the rights", b.limited(t))
}

// An authorizer that can't list its rules is asked for each right that no
// other has granted.
func TestCheckIncompleteRules(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review struct {
			Spec authorizationv1.SelfSubjectAccessReviewSpec `json:"spec"`
		}
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			t.Error(err)
		}
		var answer any
		if strings.HasSuffix(r.URL.Path, "/selfsubjectrulesreviews") {
			answer = authorizationv1.SelfSubjectRulesReview{
				TypeMeta: metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SelfSubjectRulesReview"},
				Status: authorizationv1.SubjectRulesReviewStatus{Incomplete: true, ResourceRules: []authorizationv1.ResourceRule{
					{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}, ResourceNames: []string{"one"}},
					{Verbs: []string{"list"}, APIGroups: []string{"*"}, Resources: []string{"*"}},
				}},
			}
		} else {
			a := review.Spec.ResourceAttributes
			right := Right{Group: a.Group, Resource: a.Resource, Verb: a.Verb, Namespace: a.Namespace}
			mu.Lock()
			asked = append(asked, right.String())
			mu.Unlock()
			answer = authorizationv1.SelfSubjectAccessReview{
				TypeMeta: metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SelfSubjectAccessReview"},
				Status:   authorizationv1.SubjectAccessReviewStatus{Allowed: a.Resource == "pods"},
			}
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	c, err := New(&rest.Config{Host: server.URL}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	rights := []Right{
		{Resource: "pods", Verb: "list"},
		{Resource: "pods", Verb: "watch"},
		{Group: "apps", Resource: "deployments", Verb: "patch"},
	}
	missing, err := c.client.missing(t.Context(), rights)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Right{{Group: "apps", Resource: "deployments", Verb: "patch"}}, missing); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
	slices.Sort(asked)
	if diff := cmp.Diff([]string{"patch deployments.apps", "watch pods"}, asked); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
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
