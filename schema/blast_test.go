package schema

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	aliceKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHPtZwwzMK83j/g5FRZdWUrcU8PWNNb/8r0W9z/mmXGr"
	bobKey   = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKRQSOuj1LpC75gIJQwA622qiI2g8ip0jKtVa1l/kgCC"
)

func keyFile(name, key string) string {
	return fmt.Sprintf("apiVersion: bayplan.dev/v1\nkind: SSHKey\nmetadata: {name: %s}\nspec: {publicKey: %q}\n", name, key)
}

func twoUsers() files {
	return files{
		"users/alice/web/web.yaml":     containerFile("web", 1),
		"users/alice/shop/api.yaml":    containerFile("api", 2),
		"users/alice/shop/data.yaml":   "apiVersion: bayplan.dev/v1\nkind: Volume\nmetadata: {name: data}\nspec: {size: 1Gi}\n",
		"users/alice/shop/space.yaml":  "apiVersion: bayplan.dev/v1\nkind: Space\nmetadata: {name: shop}\nspec: {description: The shop}\n",
		"users/alice/keys/laptop.yaml": keyFile("laptop", aliceKey),
		"users/bob/web/web.yaml":       containerFile("web", 3),
		"users/bob/keys/laptop.yaml":   keyFile("laptop", bobKey),
	}
}

// with returns the repository with some files changed; an empty one is removed.
func (f files) with(changes files) files {
	out := maps.Clone(f)
	for name, data := range changes {
		out[name] = data
		if data == "" {
			delete(out, name)
		}
	}
	return out
}

// states are the digests of all spaces, and whether they are frozen.
func states(f *Fleet) map[string]string {
	out := map[string]string{}
	for id, s := range f.Spaces.All() {
		out[id.String()] = fmt.Sprintf("%s frozen=%t", s.Digest, s.Frozen)
	}
	return out
}

// TestBlastRadius: a fault in one user's files changes nothing of another's, and
// in one space nothing of another space.
func TestBlastRadius(t *testing.T) {
	base := states(load(t, NewLoader(), twoUsers().fsys()))
	faults := map[string]files{
		"not YAML":            {"users/alice/shop/api.yaml": "a: ["},
		"empty":               {"users/alice/shop/api.yaml": "#"},
		"unknown field":       {"users/alice/shop/api.yaml": containerFile("api", 2) + "  entrypoint: [a]\n"},
		"duplicate":           {"users/alice/shop/b.yaml": containerFile("api", 2)},
		"host of bob":         {"users/alice/shop/b.yaml": strings.Replace(containerFile("b", 2), "targetPort: 8080", "targetPort: 8080\n      host: bob--web.bayplan.localhost", 1)},
		"huge":                {"users/alice/shop/b.yaml": strings.Repeat("x", maxFileSize+1)},
		"private key":         {"users/alice/shop/b.yaml": "-----BEGIN OPENSSH PRIVATE KEY-----\n"},
		"folder in the space": {"users/alice/shop/a/b.yaml": "x"},
		"git folder":          {"users/alice/shop/.GIT/config": "x"},
		"platform document":   {"users/alice/shop/p.yaml": "apiVersion: bayplan.dev/v1\nkind: Platform\nmetadata: {name: p}\nspec: {domain: evil.example}\n"},
	}
	for name, changes := range faults {
		t.Run(name, func(t *testing.T) {
			fleet := load(t, NewLoader(), twoUsers().with(changes).fsys())
			got := states(fleet)
			if !fleet.Spaces.Get(SpaceID{"alice", "shop"}).Frozen || fleet.Frozen {
				t.Errorf("got the space frozen %t, everything %t", fleet.Spaces.Get(SpaceID{"alice", "shop"}).Frozen, fleet.Frozen)
			}
			for id, want := range base {
				if id != "alice--shop" && got[id] != want {
					t.Errorf("%s: got %s, want %s", id, got[id], want)
				}
			}
		})
	}
}

// TestCopiedKeyLocksNobodyOut: alice takes bob's key into her folder.
func TestCopiedKeyLocksNobodyOut(t *testing.T) {
	ssh := "  ssh: {enabled: true, keys: [laptop]}\n"
	repository := twoUsers().with(files{"users/bob/web/web.yaml": containerFile("web", 3) + ssh})
	base := load(t, NewLoader(), repository.fsys())
	stolen := load(t, NewLoader(), repository.with(files{"users/alice/keys/stolen.yaml": keyFile("stolen", bobKey+" bob@home")}).fsys())
	if diff := cmp.Diff(states(base), states(stolen)); diff != "" {
		t.Errorf("spaces (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"users/bob/keys/laptop.yaml shared-key"}, codes(stolen.Findings)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if len(stolen.Keys["bob"]) != 1 || len(stolen.Keys["alice"]) != 2 {
		t.Errorf("got keys %v, want the key to count for both", stolen.Keys)
	}
}

// TestBrokenSpaceStaysInTheFleet: what can't be read isn't taken for deleted.
func TestBrokenSpaceStaysInTheFleet(t *testing.T) {
	fleet := load(t, NewLoader(), files{"users/alice/web/web.yaml": "a: ["}.fsys())
	space := fleet.Spaces.Get(SpaceID{"alice", "web"})
	if space == nil || !space.Frozen {
		t.Errorf("got %+v, want a frozen space", space)
	}
	fleet = load(t, NewLoader(), files{"users/alice/web/web.yaml": containerFile("web", 1) + "  entrypoint: [a]\n"}.fsys())
	if c := fleet.Container(ContainerID{SpaceID{"alice", "web"}, "web"}); c == nil || c.Spec.Image != "ghcr.io/acme/app:1.1" {
		t.Errorf("got %+v, want the container as far as it can be read", c)
	}
}

func TestBrokenPlatformFreezesEverything(t *testing.T) {
	fleet := load(t, NewLoader(), twoUsers().with(files{"platform.yaml": "a: ["}).fsys())
	if !fleet.Frozen {
		t.Error("got a fleet that isn't frozen")
	}
	for id, s := range fleet.Spaces.All() {
		if !s.Frozen {
			t.Errorf("%s isn't frozen", id)
		}
	}
}

// TestDigest: it moves if and only if something moves that objects are rendered from.
func TestDigest(t *testing.T) {
	platform := func(spec string) string {
		return "apiVersion: bayplan.dev/v1\nkind: Platform\nmetadata: {name: platform}\nspec: {" + spec + "}\n"
	}
	tests := map[string]struct {
		changes files
		want    []string
	}{
		"comment":           {files{"users/alice/web/web.yaml": "# hello\n" + containerFile("web", 1)}, nil},
		"readme":            {files{"users/alice/web/README.md": "hello"}, nil},
		"key":               {files{"users/alice/keys/laptop.yaml": ""}, nil},
		"default written":   {files{"users/alice/web/web.yaml": containerFile("web", 1) + "  state: Running\n"}, nil},
		"same platform":     {files{"platform.yaml": platform("domain: bayplan.localhost")}, nil},
		"container":         {files{"users/alice/web/web.yaml": containerFile("web", 9)}, []string{"alice--web"}},
		"file name":         {files{"users/alice/web/web.yaml": "", "users/alice/web/w.yaml": containerFile("web", 1)}, []string{"alice--web"}},
		"volume":            {files{"users/alice/shop/data.yaml": "apiVersion: bayplan.dev/v1\nkind: Volume\nmetadata: {name: data}\nspec: {size: 2Gi}\n"}, []string{"alice--shop"}},
		"description":       {files{"users/alice/shop/space.yaml": "apiVersion: bayplan.dev/v1\nkind: Space\nmetadata: {name: shop}\n"}, []string{"alice--shop"}},
		"container deleted": {files{"users/alice/shop/api.yaml": ""}, []string{"alice--shop"}},
		"platform":          {files{"platform.yaml": platform("domain: apps.example.com")}, []string{"alice--shop", "alice--web", "bob--web"}},
		"overlay":           {files{"platform/kustomization.yaml": "a: b\n"}, []string{"alice--shop", "alice--web", "bob--web"}},
	}
	loader := NewLoader()
	base := load(t, loader, twoUsers().fsys())
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			fleet := load(t, loader, twoUsers().with(test.changes).fsys())
			if got := fleet.Findings.Text(); got != "" {
				t.Fatalf("got findings:\n%s", got)
			}
			var moved []string
			for _, id := range fleet.SpaceIDs() {
				if fleet.Spaces.Get(id).Digest != base.Spaces.Get(id).Digest {
					moved = append(moved, id.String())
				}
			}
			if diff := cmp.Diff(test.want, moved); diff != "" {
				t.Errorf("moved digests (-want +got):\n%s", diff)
			}
		})
	}
}
