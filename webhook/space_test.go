package webhook

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/images"
)

func TestListSpaces(t *testing.T) {
	h := newHouse(t)
	for query, want := range map[string][]string{
		"":            {"alice--shop", "alice--web", "bob--blog", "carol--gone"},
		"?user=alice": {"alice--shop", "alice--web"},
		"?limit=1":    {"alice--shop"},
	} {
		var got []string
		for _, s := range decode[List[Space]](t, h.get(t, "/compute/spaces"+query)).Items {
			got = append(got, s.ID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", query, diff)
		}
	}
}

func TestGetSpace(t *testing.T) {
	h := newHouse(t)
	for _, want := range []Space{
		{
			ID: "alice--shop", User: "alice", Name: "shop", Description: "The shop", Namespace: "compute-alice--shop",
			Containers: []schema.ContainerID{containerID(t, "alice--shop--api"), containerID(t, "alice--shop--db")},
			Volumes:    []string{"alice--shop--data", "alice--shop--old"}, Findings: []schema.Finding{},
			Source: &schema.Position{File: "users/alice/shop/space.yaml", Line: 1},
		},
		{
			ID: "bob--blog", User: "bob", Name: "blog", Namespace: "compute-bob--blog", Frozen: true,
			Containers: []schema.ContainerID{containerID(t, "bob--blog")}, Volumes: []string{}, Findings: h.fleet.Findings,
			Source: &schema.Position{File: "users/bob/blog"},
		},
		{
			ID: "carol--gone", User: "carol", Name: "gone", Namespace: "compute-carol--gone", Deleting: true,
			Containers: []schema.ContainerID{}, Volumes: []string{"carol--gone--attic"}, Findings: []schema.Finding{},
		},
	} {
		got := decode[Space](t, h.get(t, "/compute/spaces/"+want.ID))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestVolumes(t *testing.T) {
	h := newHouse(t)
	graceEnd := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	shop := h.fleet.Spaces.Get(spaceID(t, "alice--shop"))
	data := Volume{
		ID: "alice--shop--data", User: "alice", Space: "alice--shop", Name: "data", Spec: &shop.Volumes[0].Spec,
		Status: "Bound", Capacity: "10Gi", UsedBy: []schema.ContainerID{containerID(t, "alice--shop--api"), containerID(t, "alice--shop--db")},
		Source: &shop.Volumes[0].Source, Hash: "5555eeee",
	}
	old := Volume{
		ID: "alice--shop--old", User: "alice", Space: "alice--shop", Name: "old",
		Status: "Bound", Capacity: "1Gi", DeleteAfter: &graceEnd, UsedBy: []schema.ContainerID{},
	}
	attic := Volume{
		ID: "carol--gone--attic", User: "carol", Space: "carol--gone", Name: "attic",
		Status: "Bound", Capacity: "5Gi", DeleteAfter: &graceEnd, UsedBy: []schema.ContainerID{},
	}
	for query, want := range map[string][]Volume{
		"": {data, old, attic}, "?user=carol": {attic}, "?space=shop": {data, old}, "?space=alice--shop&limit=1": {data}, "?space=web": {},
	} {
		got := decode[List[Volume]](t, h.get(t, "/compute/volumes"+query))
		if diff := cmp.Diff(want, got.Items); diff != "" {
			t.Errorf("%q (-want +got):\n%s", query, diff)
		}
	}
	for _, want := range []Volume{data, old, attic} {
		got := decode[Volume](t, h.get(t, "/compute/volumes/"+want.ID))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", want.ID, diff)
		}
	}
}

func TestKeysImagesPresets(t *testing.T) {
	h := newHouse(t)
	keys := decode[List[SSHKey]](t, h.get(t, "/compute/ssh-keys?user=alice")).Items
	wantKeys := []SSHKey{{
		User: "alice", Name: "laptop", Type: "ssh-ed25519", Fingerprint: "SHA256:abc",
		Source: schema.Position{File: "users/alice/keys/laptop.yaml", Line: 1},
	}}
	if diff := cmp.Diff(wantKeys, keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if got := len(decode[List[SSHKey]](t, h.get(t, "/compute/ssh-keys")).Items); got != 2 {
		t.Errorf("all keys: got %d, want 2", got)
	}
	offered := decode[ImageList](t, h.get(t, "/compute/images")).Items
	wantImages := []images.Image{{Name: "node", Reference: "node:26", Description: "Node.js"}, {Name: "python", Reference: "docker.io/library/python:3.14"}}
	if diff := cmp.Diff(wantImages, offered); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
	presets := decode[List[Preset]](t, h.get(t, "/compute/presets")).Items
	wantPresets := []Preset{{Name: "small", Description: "A little", Spec: map[string]any{"image": "alpine:3.23"}}}
	if diff := cmp.Diff(wantPresets, presets); diff != "" {
		t.Errorf("presets (-want +got):\n%s", diff)
	}
}

func TestBeforeTheFirstLoad(t *testing.T) {
	h := newHouse(t)
	h.fleet = nil
	h.hub.sync = schema.SyncStatus{State: schema.SyncPending}
	for _, path := range []string{
		"/compute/containers", "/compute/containers/alice--web", "/compute/spaces", "/compute/volumes",
		"/compute/ssh-keys", "/compute/images", "/compute/presets", "/readyz",
	} {
		w := h.get(t, path)
		wantProblem(t, w, http.StatusServiceUnavailable, "unavailable")
		if got := w.Header().Get("Retry-After"); got != "1" {
			t.Errorf("%s: Retry-After: got %q", path, got)
		}
	}
	if got := decode[schema.SyncStatus](t, h.get(t, "/compute/sync")); got.State != schema.SyncPending {
		t.Errorf("sync: got %+v", got)
	}
}
