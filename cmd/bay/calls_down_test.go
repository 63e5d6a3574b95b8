package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

// TestCallsWhileTheRemoteIsDown: nothing can be written, everything can be read,
// the cluster goes on as it is, and a call that is repeated when the remote is
// back is one commit.
func TestCallsWhileTheRemoteIsDown(t *testing.T) {
	g := newGitServer(t)
	a := newRemoteArena(t, g.path, g.cloneURL(), g.args()...)
	base := a.base(0)
	versions := a.settledVersions(base.Space)
	commits := a.inBare("rev-list", "--count", "main")
	g.down()

	id := a.id("late", "web")
	create := ask{http.MethodPost, "/compute/containers", fmt.Sprintf(`{"name":"web","space":"late","user":%q,"spec":{"image":"nginx:1"}}`, a.user), "late-1"}
	patch := ask{http.MethodPatch, "/compute/containers/" + base.String(), `{"spec":{"image":"nginx:2"}}`, "late-2"}
	for range 2 {
		for _, q := range []ask{create, patch} {
			got, err := a.once(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if got.status != http.StatusServiceUnavailable || got.retry == "" {
				t.Errorf("%s while the remote is down: got %d, Retry-After %q; want 503 with Retry-After\n%s", q, got.status, got.retry, got.body)
			}
		}
	}
	waitFor(t, "the server says that it can't read the repository", func() (bool, string) {
		s := a.sync()
		return s.State == schema.SyncStale, fmt.Sprintf("%+v", s)
	})
	var list struct{ Items []json.RawMessage }
	if status := a.get("/compute/containers?limit=500", &list); status != http.StatusOK || len(list.Items) < raceSpaces {
		t.Errorf("list while the remote is down: got %d with %d containers", status, len(list.Items))
	}
	var one struct{ ID schema.ContainerID }
	if status := a.get("/compute/containers/"+base.String(), &one); status != http.StatusOK || one.ID != base {
		t.Errorf("GET %s while the remote is down: got %d, %s", base, status, one.ID)
	}
	if diff := cmp.Diff(versions, a.cluster.versions(base.Space)); diff != "" {
		t.Errorf("objects have changed while the remote was down (-before +after):\n%s", diff)
	}
	if got := a.inBare("rev-list", "--count", "main"); got != commits {
		t.Errorf("got %s commits while the remote was down, want %s", got, commits)
	}

	g.up()
	for _, q := range []ask{create, patch, create, patch} {
		if _, err := a.insist(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	a.checkHistory()
	a.waitSync(schema.Revision(a.inBare("rev-parse", "main")), schema.SyncSynced)
	for id, want := range map[schema.ContainerID]string{id: "nginx:1", base: "nginx:2"} {
		if got := a.cluster.mustDeployment(id).Spec.Template.Spec.Containers[0].Image; got != want {
			t.Errorf("%s runs %s, want %s", id, got, want)
		}
	}
}
