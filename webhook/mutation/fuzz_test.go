package mutation

import (
	"maps"
	"strings"
	"testing"

	"bayplan.dev/schema"
)

// FuzzEdits runs edits on files that anybody may have pushed: none may panic,
// touch another file, or leave behind what can't be read any more.
func FuzzEdits(f *testing.F) {
	for _, seed := range []string{
		doc("Container", "api", "image: a"), doc("Container", "db", "") + "---\n" + doc("Container", "api", "ingress: [{port: 443}]"),
		"", "api", "- api\n", "kind: Container\nmetadata: {name: api}\nspec: 1\n", "kind: Container\nmetadata: {name: api}\nspec: {volumes: [1, {name: data}]}\n",
		"a: &api [*api]\n", "kind: Container\nmetadata: {name: api}\nspec: {ingress: {port: 1}}\n", strings.Repeat("[", 200) + "api", "%YAML 1.2\n---\napi: \x00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range []string{"users/alice/shop/api.yaml", "users/alice/shop/x.yaml"} {
			before := tree{name: text, "users/bob/web/web.yaml": doc("Container", "web", "")}
			for what, edit := range map[string]Edit{
				"create":        Create(shop("api"), map[string]any{"image": "b"}, nil),
				"patch":         Patch(shop("api"), map[string]any{"image": "b"}, nil),
				"add":           AddIngress(shop("api"), Ingress{Port: 80}, "h"),
				"remove":        RemoveIngress(shop("api"), Ingress{Port: 443}, "h"),
				"delete":        Delete(shop("api"), nil),
				"delete volume": DeleteVolume(schema.SpaceID{User: "alice", Name: "shop"}, "data", nil),
				"delete space":  DeleteSpace(schema.SpaceID{User: "alice", Name: "shop"}),
				"rollback":      Rollback(shop("api"), snapshotOf(before), maxTime(), nil),
			} {
				after := maps.Clone(before)
				_, err := edit(after)
				if schema.CodeOf(err) == schema.Internal {
					t.Errorf("%s: %v", what, err)
				}
				if after["users/bob/web/web.yaml"] != before["users/bob/web/web.yaml"] {
					t.Errorf("%s touched another user's file", what)
				}
				if err != nil {
					continue
				}
				_, err = find(after, shop("api"))
				switch what {
				case "create", "patch", "add":
					if err != nil {
						t.Errorf("%s left behind %v: %v", what, after, err)
					}
				case "delete":
					if err == nil {
						t.Errorf("still there: %v", after)
					}
				}
			}
		}
	})
}
