package webhook

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

func ids(items []Container) []string {
	out := []string{}
	for _, c := range items {
		out = append(out, c.ID.String())
	}
	return out
}

func TestListContainers(t *testing.T) {
	h := newHouse(t)
	for query, want := range map[string][]string{
		"":                               {"alice--old", "alice--shop--api", "alice--shop--db", "alice--web", "bob--blog"},
		"?user=alice":                    {"alice--old", "alice--shop--api", "alice--shop--db", "alice--web"},
		"?space=shop":                    {"alice--shop--api", "alice--shop--db"},
		"?space=alice--shop":             {"alice--shop--api", "alice--shop--db"},
		"?status=running":                {"alice--shop--db", "alice--web"},
		"?status=pending":                {"bob--blog"},
		"?status=running&space=web":      {"alice--web"},
		"?user=nobody":                   {},
		"?user=alice&status=deleting":    {"alice--old"},
		"?user=bob&space=alice--shop":    {},
		"?limit=1000&space=alice--web":   {"alice--web"},
		"?continue=&limit=1&space=blog":  {"bob--blog"},
		"?status=running&user=alice&x=y": {"alice--shop--db", "alice--web"},
	} {
		t.Run(query, func(t *testing.T) {
			w := h.get(t, "/compute/containers"+query)
			got := decode[List[Container]](t, w)
			if diff := cmp.Diff(want, ids(got.Items)); w.Code != http.StatusOK || diff != "" {
				t.Errorf("%d (-want +got):\n%s", w.Code, diff)
			}
			if got.Metadata != (ListMetadata{Revision: testRevision}) {
				t.Errorf("metadata: got %+v", got.Metadata)
			}
		})
	}
}

func TestPagesJoinToTheWholeList(t *testing.T) {
	h := newHouse(t)
	web := h.fleet.Spaces.Get(spaceID(t, "alice--web"))
	for i := range 25 {
		web.Containers = append(web.Containers, &schema.Container{ID: containerID(t, fmt.Sprintf("alice--web--c%d", i))})
	}
	whole := ids(decode[List[Container]](t, h.get(t, "/compute/containers")).Items)
	for _, limit := range []int{1, 7, 30} {
		var got []string
		next, pages := "", 0
		for ok := true; ok; ok = next != "" {
			page := decode[List[Container]](t, h.get(t, fmt.Sprintf("/compute/containers?limit=%d&continue=%s", limit, url.QueryEscape(next))))
			got, next = append(got, ids(page.Items)...), page.Metadata.Continue
			if pages++; pages > len(whole) {
				t.Fatal("the list has no end")
			}
		}
		if diff := cmp.Diff(whole, got); diff != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, diff)
		}
	}
}

func TestPageOfAListThatShrinks(t *testing.T) {
	h := newHouse(t)
	first := decode[List[Container]](t, h.get(t, "/compute/containers?limit=2"))
	delete(h.hub.statuses, first.Items[1].ID)
	gone := first.Items[1].ID.Space
	h.fleet.Spaces[gone.User] = slices.DeleteFunc(h.fleet.Spaces[gone.User], func(s *schema.Space) bool { return s.ID == gone })
	second := decode[List[Container]](t, h.get(t, "/compute/containers?limit=2&continue="+first.Metadata.Continue))
	want := []string{"alice--shop--db", "alice--web"}
	if diff := cmp.Diff(want, ids(second.Items)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBadQueriesAreProblems(t *testing.T) {
	h := newHouse(t)
	for _, query := range []string{"?limit=0", "?limit=1001", "?limit=x", "?continue=!", "?continue=" + strings.Repeat("a", 300)} {
		w := h.get(t, "/compute/containers"+query)
		p := wantProblem(t, w, http.StatusUnprocessableEntity, "invalid")
		if !strings.Contains(w.Body.String(), "query.") {
			t.Errorf("%s: %+v doesn't name the parameter", query, p)
		}
	}
}

func TestGetContainer(t *testing.T) {
	h := newHouse(t)
	w := h.get(t, "/compute/containers/alice--web")
	got := decode[Container](t, w)
	want := Container{
		ID: containerID(t, "alice--web"), Name: "web", User: "alice", Space: "alice--web",
		Status: schema.PhaseRunning, Conditions: h.hub.statuses[containerID(t, "alice--web")].Conditions,
		Revision: testRevision, Node: "n1",
		URLs:   []string{"https://alice--web.bay.example/", "http://alice--web.bay.example/old", "http://alice--web.bay.example:8443/"},
		Source: &schema.Position{File: "users/alice/web/web.yaml", Line: 1, Column: 1}, Hash: "1111aaaa",
	}
	want.Spec = &h.fleet.Container(want.ID).Spec
	if diff := cmp.Diff(want, got); w.Code != http.StatusOK || diff != "" {
		t.Errorf("%d (-want +got):\n%s", w.Code, diff)
	}
	if got := w.Header().Get("ETag"); got != `"1111aaaa"` {
		t.Errorf("ETag: got %s", got)
	}
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control: got %q; a browser would show a status of long ago", got)
	}
}

func TestConditionalGet(t *testing.T) {
	h := newHouse(t)
	for header, want := range map[string]int{
		`"1111aaaa"`: http.StatusNotModified, `W/"1111aaaa"`: http.StatusNotModified, `"x", "1111aaaa"`: http.StatusNotModified,
		`*`: http.StatusNotModified, `"2222bbbb"`: http.StatusOK, `1111aaaa`: http.StatusOK, ``: http.StatusOK,
	} {
		w := h.get(t, "/compute/containers/alice--web", "If-None-Match", header)
		if w.Code != want || w.Header().Get("ETag") != `"1111aaaa"` || (want == http.StatusNotModified && w.Body.Len() > 0) {
			t.Errorf("If-None-Match %s: got %d with ETag %s and %d bytes, want %d", header, w.Code, w.Header().Get("ETag"), w.Body.Len(), want)
		}
	}
}

func TestContainerWhoseFileIsGone(t *testing.T) {
	w := newHouse(t).get(t, "/compute/containers/alice--old")
	got := decode[Container](t, w)
	if got.Status != schema.PhaseDeleting || got.Spec != nil || got.Hash != "" || w.Header().Get("ETag") != "" {
		t.Errorf("got %+v with ETag %q", got, w.Header().Get("ETag"))
	}
}

func TestContainerThatNobodyHasSeen(t *testing.T) {
	got := decode[Container](t, newHouse(t).get(t, "/compute/containers/bob--blog"))
	if got.Status != schema.PhasePending || got.Spec == nil || got.Conditions == nil || got.URLs == nil {
		t.Errorf("got %+v", got)
	}
}

func TestWhatIsNotThereIs404(t *testing.T) {
	h := newHouse(t)
	for _, path := range []string{
		"/compute/containers/alice--nope", "/compute/containers/alice--web--web", "/compute/containers/x", "/compute/containers/..%2fetc",
		"/compute/containers/ALICE--WEB", "/compute/containers/alice--nope/ingress", "/compute/spaces/alice--nope", "/compute/spaces/alice",
		"/compute/spaces/alice--keys", "/compute/volumes/alice--shop--nope", "/compute/volumes/alice--shop", "/compute/volumes/x",
		"/compute/volumes/alice----data", "/compute/nope", "/compute/containers/", "/hooks/nope", "/schemas/v1/nope.json", "/git/fleet.git/HEAD",
	} {
		wantProblem(t, h.get(t, path), http.StatusNotFound, "not_found")
	}
}

func TestListIngress(t *testing.T) {
	h := newHouse(t)
	got := decode[List[IngressRule]](t, h.get(t, "/compute/containers/alice--web/ingress"))
	want := []IngressRule{
		{Port: 443, TargetPort: 8080, Host: "alice--web.bay.example", Path: "/", TLS: true, URL: "https://alice--web.bay.example/"},
		{Port: 80, TargetPort: 8080, Host: "alice--web.bay.example", Path: "/old", URL: "http://alice--web.bay.example/old"},
		{Port: 8443, TargetPort: 8080, Host: "alice--web.bay.example", URL: "http://alice--web.bay.example:8443/"},
	}
	if diff := cmp.Diff(want, got.Items); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := decode[List[IngressRule]](t, h.get(t, "/compute/containers/alice--old/ingress")); len(got.Items) != 0 || got.Items == nil {
		t.Errorf("without a file: got %+v", got)
	}
}
