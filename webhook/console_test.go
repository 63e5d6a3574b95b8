package webhook

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/mutation"
)

// halt holds something back until somebody says the word.
func (h *testHub) halt(reason string, word schema.Revision) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sync.State, h.sync.Reason, h.sync.Confirm = schema.SyncHalted, reason, word
	h.sync.Message, h.sync.Pending = "revision would delete 6 spaces", []string{"alice--web", "bob--blog"}
}

// confirm is what the cluster does when somebody says it.
func (h *testHub) confirm(_ context.Context, word schema.Revision) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sync.Confirm != word {
		return schema.Errorf(schema.Internal, "confirmed %s, halted is %s", word, h.sync.Confirm)
	}
	h.sync.State, h.sync.Reason, h.sync.Message, h.sync.Confirm, h.sync.Pending = schema.SyncSynced, "", "", "", nil
	return nil
}

// testObjects is a space as it could be rendered; bob's is frozen.
func testObjects(f *schema.Fleet, id schema.SpaceID) ([]*unstructured.Unstructured, error) {
	space := f.Spaces.Get(id)
	if space == nil || space.Frozen {
		return nil, schema.Errorf(schema.Invalid, "render space %s: it is frozen", id)
	}
	object := func(apiVersion, kind, name string, labels map[string]string) *unstructured.Unstructured {
		o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": kind}}
		o.SetName(name)
		o.SetLabels(labels)
		if kind != "Namespace" {
			o.SetNamespace(id.Namespace())
		}
		return o
	}
	objects := []*unstructured.Unstructured{object("v1", "Namespace", id.Namespace(), nil)}
	for _, v := range space.Volumes {
		objects = append(objects, object("v1", "PersistentVolumeClaim", v.Name, map[string]string{schema.LabelVolume: v.Name}))
	}
	objects = append(objects, object("v1", "PersistentVolumeClaim", "other", map[string]string{schema.LabelVolume: "other"}))
	for _, c := range space.Containers {
		objects = append(objects, object("apps/v1", "Deployment", c.ID.Name, map[string]string{schema.LabelContainer: c.ID.Name}))
	}
	return objects, nil
}

// testFields compares the top fields of two specs.
func testFields(before, after map[string]any) (fields []FieldChange, more int) {
	names := maps.Clone(before)
	if names == nil {
		names = map[string]any{}
	}
	maps.Copy(names, after)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		f := FieldChange{Action: schema.ActionChange, Path: "spec." + name}
		if was, ok := before[name]; ok {
			f.Before = fmt.Sprint(was)
		} else {
			f.Action = schema.ActionCreate
		}
		if now, ok := after[name]; ok {
			f.After = fmt.Sprint(now)
		} else {
			f.Action = schema.ActionDelete
		}
		if f.Before != f.After {
			fields = append(fields, f)
		}
	}
	return fields, 0
}

// testPlan tells which user it was asked for, and of findings that aren't all that user's.
func testPlan(_ context.Context, user schema.User, t Trial) (*Plan, error) {
	finding := func(file string) schema.Finding {
		return schema.Finding{Position: schema.Position{File: file}, Severity: schema.SeverityWarning, Code: "x", Message: "about " + file}
	}
	return &Plan{
		Summary:  PlanSummary{Create: 1, Cautions: map[string]int{"image-not-digest": 1}},
		Changes:  []PlanChange{{Action: schema.ActionCreate, Kind: schema.KindContainer, ID: string(user), Position: schema.Position{File: t.After.Root}}},
		Findings: []schema.Finding{finding("users/alice/web/web.yaml"), finding("users/bob/blog/blog.yaml")},
	}, nil
}

// A dry run says what the change would do, refuses what the change would be
// refused for, and changes nothing.
func TestDryRun(t *testing.T) {
	w := newWriteHouse(t, func(o *Options) { o.Plan = testPlan })
	before := w.shelf.files()
	got := decode[DryRun](t, w.want(t, 200, "POST", "/compute/containers?dry_run=true&wait=ready", `{"name":"api","space":"shop","spec":{"image":"nginx:1"}}`, userHeader, "alice"))
	if got.Plan == nil || len(got.Plan.Findings) != 1 || got.Plan.Changes[0].ID != "alice" || got.Plan.Changes[0].File == "" {
		t.Errorf("got plan %+v", got.Plan)
	}
	want := DryRun{DryRun: true, Subject: "Create container alice--shop--api", Plan: got.Plan, Files: []FileDiff{{
		File: "users/alice/shop/api.yaml", Action: schema.ActionCreate, Diff: got.Files[0].Diff,
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := got.Files[0].Diff; !strings.HasPrefix(diff, "@@ -0,0 +1,") || !strings.Contains(diff, "\n+  image: nginx:1\n") {
		t.Errorf("got diff\n%s", diff)
	}
	got = decode[DryRun](t, w.want(t, 200, "PATCH", "/compute/containers/alice--web?dry_run=true", `{"spec":{"image":"nginx:2"}}`))
	if d := got.Files[0]; d.Action != schema.ActionChange || !strings.Contains(d.Diff, "\n-spec: {image: nginx:1}\n") || !strings.Contains(d.Diff, "nginx:2") {
		t.Errorf("got %+v", d)
	}
	got = decode[DryRun](t, w.want(t, 200, "DELETE", "/compute/containers/alice--web?dry_run=true", ""))
	if d := got.Files[0]; d.Action != schema.ActionDelete || !strings.Contains(d.Diff, "\n-kind: Container\n") {
		t.Errorf("got %+v", d)
	}
	got = decode[DryRun](t, w.want(t, 200, "POST", "/compute/containers/alice--web/start?dry_run=true", ""))
	if diff := cmp.Diff(DryRun{DryRun: true, Subject: "Start container alice--web", Files: []FileDiff{}}, got); diff != "" {
		t.Errorf("nothing to do (-want +got):\n%s", diff)
	}
	tag := w.want(t, 200, "GET", "/compute/containers/alice--web", "").Header().Get("ETag")
	w.want(t, 200, "PATCH", "/compute/containers/alice--web?dry_run=true", `{"spec":{}}`, "If-Match", tag)
	for _, r := range []struct {
		status               int
		code                 string
		method, target, body string
		header               []string
	}{
		{422, "invalid", "POST", "/compute/containers", `{"name":"x","user":"alice","spec":{"entrypoint":1}}`, nil},
		{409, "conflict", "POST", "/compute/containers", `{"name":"web","user":"alice","spec":{"image":"a"}}`, nil},
		{403, "quota_exceeded", "POST", "/compute/containers", `{"name":"x","user":"short","spec":{"image":"a"},"ttl":"9h"}`, nil},
		{403, "forbidden", "POST", "/compute/containers", `{"name":"x","user":"alice","spec":{"image":"a"}}`, []string{userHeader, "bob"}},
		{404, "not_found", "PATCH", "/compute/containers/alice--web", `{"spec":{}}`, []string{userHeader, "bob"}},
		{412, "precondition_failed", "DELETE", "/compute/containers/alice--web", "", []string{"If-Match", `"x"`}},
	} {
		p := wantProblem(t, w.do(t.Context(), r.method, r.target+"?dry_run=true", r.body, r.header...), r.status, r.code)
		if r.status == 422 && (len(p.Errors) == 0 || p.Errors[0].Pointer == "") {
			t.Errorf("no findings: %+v", p)
		}
	}
	w.want(t, 204, "DELETE", "/compute/ephemerals/alice--nope?dry_run=true", "")
	w.shelf.down = schema.Errorf(schema.Unavailable, "read the head: it doesn't answer")
	wantProblem(t, w.do(t.Context(), "DELETE", "/compute/containers/alice--web?dry_run=true", ""), http.StatusServiceUnavailable, "unavailable")
	if diff := cmp.Diff(before, w.shelf.files()); diff != "" || w.shelf.commits() != 0 {
		t.Errorf("%d commits (-before +after):\n%s", w.shelf.commits(), diff)
	}
}

// A key of a dry run isn't used up, and one that was used doesn't decide about it.
func TestDryRunWithAKey(t *testing.T) {
	w := newWriteHouse(t)
	const path, body = "/compute/containers/alice--web", `{"spec":{"image":"nginx:2"}}`
	w.want(t, 200, "PATCH", path+"?dry_run=true", body, "Idempotency-Key", "k")
	w.want(t, 202, "PATCH", path, body, "Idempotency-Key", "k")
	if got := decode[DryRun](t, w.want(t, 200, "PATCH", path+"?dry_run=true", `{"spec":{"image":"nginx:3"}}`, "Idempotency-Key", "k")); len(got.Files) != 1 || got.Plan != nil {
		t.Errorf("got %+v", got)
	}
}

// Each entry says what its commit changed, over any number of pages.
func TestHistoryWithChanges(t *testing.T) {
	w := newWriteHouse(t)
	const path = "/compute/containers/alice--web"
	w.want(t, 202, "PATCH", path, `{"spec":{"image":"nginx:2"}}`)
	w.want(t, 202, "POST", "/compute/containers", `{"name":"other","user":"alice","spec":{"image":"a"}}`)
	w.want(t, 202, "PATCH", path, `{"spec":{"workingDir":"/srv","image":"nginx:3"}}`)
	w.want(t, 202, "DELETE", path, "")
	w.want(t, 202, "POST", "/compute/containers", `{"name":"web","user":"alice","spec":{"image":"nginx:4"}}`)
	var got []*HistoryChange
	for _, limit := range []int{1, 2, 50} {
		got = nil
		token := ""
		for {
			page := decode[List[HistoryEntry]](t, w.want(t, 200, "GET", fmt.Sprintf("%s/history?changes=true&limit=%d&continue=%s", path, limit, token), ""))
			if len(page.Items) > limit {
				t.Fatalf("%d entries on a page of %d", len(page.Items), limit)
			}
			for _, e := range page.Items {
				got = append(got, e.Change)
			}
			if token = page.Metadata.Continue; token == "" {
				break
			}
		}
		field := func(action schema.Action, name, before, after string) FieldChange {
			return FieldChange{Action: action, Path: "spec." + name, Before: before, After: after}
		}
		// The shelf doesn't list the commit that it begins with, so nothing is
		// known to have been there before the first one that it does.
		want := []*HistoryChange{
			{Action: schema.ActionCreate, Fields: []FieldChange{field(schema.ActionCreate, "image", "", "nginx:4")}},
			{Action: schema.ActionDelete, Fields: []FieldChange{}},
			{Action: schema.ActionChange, Fields: []FieldChange{field(schema.ActionChange, "image", "nginx:2", "nginx:3"), field(schema.ActionCreate, "workingDir", "", "/srv")}},
			{Action: schema.ActionCreate, Fields: []FieldChange{field(schema.ActionCreate, "image", "", "nginx:2")}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pages of %d (-want +got):\n%s", limit, diff)
		}
	}
	if e := decode[List[HistoryEntry]](t, w.want(t, 200, "GET", path+"/history", "")).Items; len(e) != 4 || e[0].Change != nil {
		t.Errorf("nobody asked for changes: %+v", e)
	}
	foreign := w.do(t.Context(), "GET", path+"/history?changes=true", "", userHeader, "bob")
	missing := w.do(t.Context(), "GET", "/compute/containers/nobody--web/history?changes=true", "", userHeader, "bob")
	wantProblem(t, foreign, http.StatusNotFound, "not_found")
	if strings.ReplaceAll(missing.Body.String(), "nobody", "alice") != foreign.Body.String() {
		t.Errorf("got %s, a missing one has %s", foreign.Body, missing.Body)
	}
	wantProblem(t, w.do(t.Context(), "GET", "/compute/containers/alice--never/history?changes=true", ""), http.StatusNotFound, "not_found")
	wantProblem(t, w.do(t.Context(), "GET", path+"/history?changes=true&continue=x", ""), http.StatusUnprocessableEntity, "invalid")
}

// What can't be read isn't told of, and neither is what comes after it.
func TestChangesThatAreNotKnown(t *testing.T) {
	h := newHouse(t)
	target := mutation.Container(containerID(t, "alice--web"))
	path := target.Path()
	at := func(text string) Commit { return Commit{Contents: map[string][]byte{path: []byte(text)}} }
	good, commits := shelfContainer("web"), []Commit{}
	for _, text := range []string{good, "kind: Container\nmetadata: {name: web\n", strings.ReplaceAll(good, "nginx:1", "nginx:0"), shelfContainer("other"), ""} {
		commits = append(commits, at(text))
	}
	commits = append(commits, Commit{Unread: true}, Commit{})
	states := statesOf(target, []string{path}, commits)
	var got []string
	for i := range states[1:] {
		if c := h.API.change(states[i+1], states[i]); c != nil {
			got = append(got, fmt.Sprint(c.Action, len(c.Fields)))
		} else {
			got = append(got, "-")
		}
	}
	if diff := cmp.Diff([]string{"-", "-", "create1", "-", "-", "-"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestObjects(t *testing.T) {
	h := newGuardedHouse(t, 0)
	names := func(who, id string) []string {
		t.Helper()
		list := decode[List[RenderedObject]](t, h.as(t, who, http.MethodGet, "/compute/containers/"+id+"/objects", ""))
		var all []string
		for _, o := range list.Items {
			if o.Object["kind"] != o.Kind || list.Metadata.Revision != testRevision {
				t.Errorf("got %+v of %s", o, list.Metadata.Revision)
			}
			all = append(all, fmt.Sprintf("%s %s/%s %t", o.APIVersion, o.Kind, o.Name, o.Shared))
		}
		return all
	}
	want := []string{"v1 Namespace/compute-alice--shop true", "v1 PersistentVolumeClaim/data true", "apps/v1 Deployment/db false"}
	if diff := cmp.Diff(want, names("alice.looker", "alice--shop--db")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"v1 Namespace/compute-alice--web true", "apps/v1 Deployment/web false"}, names("root.ops", "alice--web")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := names("alice.looker", "alice--old"); got != nil {
		t.Errorf("its file is gone: got %v", got)
	}
	wantProblem(t, h.as(t, "bob.looker", http.MethodGet, "/compute/containers/bob--blog/objects", ""), http.StatusConflict, "conflict")
	wantProblem(t, h.as(t, "alice.looker", http.MethodGet, "/compute/containers/bob--blog/objects", ""), http.StatusNotFound, "not_found")
}

func TestFindings(t *testing.T) {
	h := newGuardedHouse(t, 0)
	for i := range 5 {
		h.fleet.Findings = append(h.fleet.Findings, schema.Finding{
			Position: schema.Position{File: "users/alice/web/web.yaml", Line: i}, Severity: schema.SeverityWarning, Code: "x", Message: fmt.Sprint(i),
			Related: []schema.Position{{File: "users/bob/blog/blog.yaml"}},
		})
	}
	h.fleet.Findings = append(h.fleet.Findings, schema.Finding{Position: schema.Position{File: "platform.yaml"}, Severity: schema.SeverityError, Code: "x", Message: "secret"})
	list := func(who, query string) []string {
		t.Helper()
		var all []string
		for token := ""; ; {
			page := decode[List[schema.Finding]](t, h.as(t, who, http.MethodGet, "/compute/findings?limit=2&continue="+token+query, ""))
			for _, f := range page.Items {
				all = append(all, fmt.Sprintf("%s:%d %s", f.File, f.Line, f.Message))
			}
			if token = page.Metadata.Continue; token == "" {
				return all
			}
		}
	}
	var own []string
	for i := range 5 {
		own = append(own, fmt.Sprintf("users/alice/web/web.yaml:%d clashes with what another user has", i))
	}
	if diff := cmp.Diff(own, list("alice.looker", "")); diff != "" {
		t.Errorf("alice (-want +got):\n%s", diff)
	}
	if got := list("root.ops", ""); len(got) != 7 || got[0] != "platform.yaml:0 secret" {
		t.Errorf("ops: got %q", got)
	}
	if got := list("root.ops", "&severity=error&user=bob"); len(got) != 1 || got[0] != "users/bob/blog/blog.yaml:4 unknown field" {
		t.Errorf("filtered: got %q", got)
	}
	if got := list("alice.looker", "&user=bob"); got != nil {
		t.Errorf("alice sees %q", got)
	}
}

func TestUserLimits(t *testing.T) {
	w := newWriteHouse(t)
	w.want(t, 202, "POST", "/compute/volumes", `{"name":"data","space":"web","user":"alice","spec":{"size":"5Gi"}}`)
	get := func(query string, header ...string) UserLimits {
		t.Helper()
		return decode[UserLimits](t, w.want(t, 200, "GET", "/compute/limits"+query, "", header...))
	}
	got := get("?user=alice")
	if got.Domain != "bay.example" || got.Registries == nil || got.Rows[0] != (LimitRow{What: "containers", Used: "1"}) || got.Rows[3] != (LimitRow{What: "storage", Used: "5Gi"}) {
		t.Errorf("got %+v", got)
	}
	if got := get("", userHeader, "poor"); got.User != "poor" || got.Rows[0] != (LimitRow{What: "containers", Used: "0", Limit: "1"}) {
		t.Errorf("got %+v", got)
	}
	if got := get("?user=short"); got.Lifetime != "2h" {
		t.Errorf("got %+v", got)
	}
	wantProblem(t, w.do(t.Context(), "GET", "/compute/limits", ""), http.StatusUnprocessableEntity, "invalid")
	wantProblem(t, w.do(t.Context(), "GET", "/compute/limits?user=bob", "", userHeader, "alice"), http.StatusNotFound, "not_found")
}

// Only an admin lets a halt through, and only the one that it has seen.
func TestConfirm(t *testing.T) {
	h := newGuardedHouse(t, 0)
	confirm := func(who string, word schema.Revision, header ...string) int {
		t.Helper()
		return h.as(t, who, http.MethodPost, "/compute/sync/confirm", fmt.Sprintf(`{"revision":%q}`, word), header...).Code
	}
	if got := confirm("root.ops", testRevision); got != http.StatusConflict {
		t.Errorf("nothing is halted: got %d", got)
	}
	h.hub.halt("MassDelete", testRevision)
	for who, want := range map[string]int{"alice.console": 403, "alice.looker": 403, "root.ops": 409} {
		word := testRevision
		if who == "root.ops" {
			word = revisionOf(7)
		}
		if got := confirm(who, word); got != want {
			t.Errorf("%s: got %d, want %d", who, got, want)
		}
	}
	if got := confirm("root.ops", testRevision, userHeader, "alice"); got != http.StatusForbidden {
		t.Errorf("as alice: got %d", got)
	}
	if s := h.hub.Sync(); s.State != schema.SyncHalted {
		t.Fatalf("got %s", s.State)
	}
	own := decode[schema.SyncStatus](t, h.as(t, "alice.looker", http.MethodGet, "/compute/sync", ""))
	if own.Confirm != testRevision || !slices.Equal(own.Pending, []string{"alice--web"}) {
		t.Errorf("alice sees %+v", own)
	}
	if got := confirm("root.ops", testRevision); got != http.StatusAccepted || h.hub.Sync().State != schema.SyncSynced {
		t.Errorf("got %d and %s", got, h.hub.Sync().State)
	}
	if !strings.Contains(h.log.String(), `msg="halt confirmed" actor=root.ops reason=MassDelete`) {
		t.Errorf("the log doesn't say who it was:\n%s", h.log)
	}
}
