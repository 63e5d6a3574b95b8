package schema

import (
	"slices"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestSpaces(t *testing.T) {
	space := func(user User, name string) *Space { return &Space{ID: SpaceID{user, name}} }
	shop, blog, web := space("alice", "shop"), space("alice", "blog"), space("bobby", "web")
	first := NewSpaces(shop, web, blog)
	fleet := &Fleet{Spaces: first}
	want := []SpaceID{blog.ID, shop.ID, web.ID}
	if diff := cmp.Diff(want, fleet.SpaceIDs()); diff != "" {
		t.Error(diff)
	}
	if first.Get(shop.ID) != shop || first.Get(SpaceID{"alice", "web"}) != nil || first.Get(SpaceID{"carol", "web"}) != nil || Spaces(nil).Get(web.ID) != nil {
		t.Error("Get finds something else")
	}
	if got := first.Len(); got != 3 {
		t.Errorf("got %d spaces, want 3", got)
	}

	second := Spaces{"alice": first["alice"], "bobby": first["bobby"]}
	second.Put(space("alice", "shop"))
	second.Put(space("alice", "cafe"))
	var got []string
	for id, s := range second.Changed(first) {
		if second.Get(id) != s {
			t.Errorf("%s is another space than that of its id", id)
		}
		got = append(got, id.String())
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"alice--cafe", "alice--shop"}, got); diff != "" {
		t.Error(diff)
	}
	if first.Get(shop.ID) != shop || first.Len() != 3 {
		t.Error("a list that is shared has changed")
	}
	for id := range first.Changed(first) {
		t.Errorf("%s differs from itself", id)
	}
	for range second.All() {
		break // an early end is no panic
	}
}

// TestLoadSharesSpaces: a load of another revision holds again what a user of
// whom nothing has changed had in the one before.
func TestLoadSharesSpaces(t *testing.T) {
	loader := NewLoader()
	load := func(files fstest.MapFS) *Fleet {
		t.Helper()
		f, err := loader.Load(t.Context(), snapshot(t, files))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	files := fstest.MapFS{}
	for _, folder := range []string{"alice/shop", "alice/blog", "bobby/web"} {
		files["users/"+folder+"/web.yaml"] = &fstest.MapFile{Data: []byte("apiVersion: bayplan.dev/v1\nkind: Container\nmetadata: {name: web}\nspec: {image: nginx}\n")}
	}
	before := load(files)
	shop := files["users/alice/shop/web.yaml"]
	files["users/alice/shop/web.yaml"] = &fstest.MapFile{Data: append(slices.Clone(shop.Data), "# other\n"...)}
	after := load(files)
	if !oneList(before.Spaces["bobby"], after.Spaces["bobby"]) {
		t.Error("the spaces of a user of whom nothing has changed are listed anew")
	}
	var got []string
	for id := range after.Spaces.Changed(before.Spaces) {
		got = append(got, id.String())
	}
	if diff := cmp.Diff([]string{"alice--shop"}, got); diff != "" {
		t.Error(diff)
	}
}
