package schema

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// countingTree counts the files that are read.
type countingTree struct {
	Tree
	blobs, folders *atomic.Int32
}

func (t countingTree) Blob(hash string, limit int64) ([]byte, error) {
	t.blobs.Add(1)
	return t.Tree.Blob(hash, limit)
}

func (t countingTree) Entries(hash string) ([]Entry, error) {
	t.folders.Add(1)
	return t.Tree.Entries(hash)
}

func counting(s Snapshot) (Snapshot, countingTree) {
	tree := countingTree{s.Tree, &atomic.Int32{}, &atomic.Int32{}}
	s.Tree = tree
	return s, tree
}

func TestLoadReadsOnlyWhatChanged(t *testing.T) {
	repository := largeFleet(300)
	repository["platform.yaml"] = "apiVersion: bayplan.dev/v1\nkind: Platform\nmetadata: {name: platform}\nspec: {}\n"
	loader := NewLoader()
	before := load(t, loader, repository.fsys())
	repository["users/user1/space3/c4.yaml"] = containerFile("c4", 1000)
	s, counts := counting(snapshot(t, repository.fsys()))
	after, err := loader.Load(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := counts.blobs.Load(), int32(1); got != want {
		t.Errorf("got %d files read, want %d", got, want)
	}
	// The top, users, the user and the space.
	if got, want := counts.folders.Load(), int32(4); got != want {
		t.Errorf("got %d folders read, want %d", got, want)
	}
	for id, space := range after.Spaces.All() {
		changed := id == SpaceID{"user1", "space3"}
		if got := space != before.Spaces.Get(id); got != changed {
			t.Errorf("%s: got another space: %t, want %t", id, got, changed)
		}
		if got := space.Digest != before.Spaces.Get(id).Digest; got != changed {
			t.Errorf("%s: got another digest: %t, want %t", id, got, changed)
		}
	}
	for _, c := range after.Spaces.Get(SpaceID{"user1", "space3"}).Containers {
		if c.ID.Name == "c4" && c.Spec.Args[1] != "--shard=1000" {
			t.Errorf("got arguments %v of the changed container", c.Spec.Args)
		}
	}
}

func TestLoadFromMemoryEqualsLoad(t *testing.T) {
	loader := NewLoader()
	names := []string{"quota", "preset-conflict", "key-two-users", "ssh-keys", "quota", "host-twice", "platform-broken", "quota"}
	for i, name := range names {
		repository, _ := readArchive(t, "testdata/bad/"+name+".txtar")
		maps.Copy(repository, largeFleet(20*(i%3)))
		got, want := load(t, loader, repository.fsys()), load(t, NewLoader(), repository.fsys())
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-fresh +remembered):\n%s", name, diff)
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	loader := NewLoader()
	for i := range 5 {
		load(t, loader, files{fmt.Sprintf("users/user%d/web/web.yaml", i): webFile}.fsys())
	}
	users := map[User]bool{}
	for _, m := range loader.recent {
		for u := range m.users {
			users[u] = true
		}
	}
	if diff := cmp.Diff(map[User]bool{"user3": true, "user4": true}, users); diff != "" {
		t.Errorf("remembered users (-want +got):\n%s", diff)
	}
}

func TestConcurrentLoads(t *testing.T) {
	loader := NewLoader()
	want := map[int]string{}
	var snapshots []Snapshot
	for i := range 3 {
		repository := largeFleet(50)
		repository["users/user0/space0/bad.yaml"] = strings.Repeat("x", i+1)
		s := snapshot(t, repository.fsys())
		snapshots = append(snapshots, s)
		want[i] = load(t, NewLoader(), repository.fsys()).Findings.Text()
	}
	var group sync.WaitGroup
	for i := range 12 {
		group.Go(func() {
			fleet, err := loader.Load(t.Context(), snapshots[i%3])
			if err != nil {
				t.Error(err)
				return
			}
			if diff := cmp.Diff(want[i%3], fleet.Findings.Text()); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
	group.Wait()
}

var errBroken = errors.New("the disk is broken")

// brokenTree can't read files.
type brokenTree struct{ Tree }

func (brokenTree) Blob(string, int64) ([]byte, error) { return nil, errBroken }

// brokenFolders can't read folders either.
type brokenFolders struct{ brokenTree }

func (brokenFolders) Entries(string) ([]Entry, error) { return nil, errBroken }

func TestLoadFailsWhenTheTreeCannotBeRead(t *testing.T) {
	s := snapshot(t, files{"users/alice/web/web.yaml": webFile, "platform/kustomization.yaml": "a: b"}.fsys())
	for _, tree := range []Tree{brokenTree{s.Tree}, brokenFolders{}} {
		loader := NewLoader()
		fleet, err := loader.Load(t.Context(), Snapshot{Revision: "0123456789", Root: s.Root, Tree: tree})
		if !errors.Is(err, errBroken) || fleet != nil {
			t.Errorf("got %v and error %v, want %v", fleet, err, errBroken)
		}
		if fleet, err := loader.Load(t.Context(), s); err != nil || fleet.Spaces.Len() != 1 {
			t.Errorf("got error %v after the tree was mended", err)
		}
	}
}

func TestLoadEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := NewLoader().Load(ctx, snapshot(t, largeFleet(10).fsys())); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
}

func TestEmptyRepository(t *testing.T) {
	fleet, err := NewLoader().Load(t.Context(), Snapshot{Revision: "abc"})
	if err != nil {
		t.Fatal(err)
	}
	if fleet.Platform == nil || fleet.Platform.Spec.Domain != "bayplan.localhost" || fleet.Frozen || fleet.Spaces.Len() > 0 || fleet.Revision != "abc" {
		t.Errorf("got %+v", fleet)
	}
}
