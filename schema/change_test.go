package schema

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func lines(changes []Change) []string {
	var out []string
	for _, c := range changes {
		out = append(out, c.String())
	}
	return out
}

type diffTest struct {
	changes files
	want    []string
}

func diffTests() map[string]diffTest {
	const platform = "apiVersion: bayplan.dev/v1\nkind: Platform\nmetadata: {name: platform}\nspec: {domain: apps.example.com}\n"
	return map[string]diffTest{
		"nothing": {nil, nil},
		"comment": {files{"users/alice/web/web.yaml": "# x\n" + containerFile("web", 1)}, nil},
		"container and its space": {
			files{"users/alice/new/api.yaml": containerFile("api", 1)},
			[]string{"create container alice--new--api (users/alice/new/api.yaml)", "create space alice--new (users/alice/new)"},
		},
		"changed": {
			files{"users/alice/web/web.yaml": containerFile("web", 9)},
			[]string{"change container alice--web (users/alice/web/web.yaml)"},
		},
		"one of two documents": {
			files{"users/alice/web/web.yaml": containerFile("web", 1) + "---\n" + containerFile("b", 1)},
			[]string{"create container alice--web--b (users/alice/web/web.yaml)"},
		},
		"deleted": {
			files{"users/bob/web/web.yaml": "", "users/alice/keys/laptop.yaml": "", "users/alice/shop/data.yaml": ""},
			[]string{
				"delete container bob--web (users/bob/web/web.yaml)", "delete volume alice--shop/data (users/alice/shop/data.yaml)",
				"delete space bob--web (users/bob/web)", "delete SSH key alice/laptop (users/alice/keys/laptop.yaml)",
			},
		},
		"broken, so not deleted": {files{"users/bob/web/web.yaml": "a: ["}, nil},
		"platform": {
			files{"platform.yaml": platform},
			[]string{
				"change container alice--shop--api (users/alice/shop/api.yaml)", "change container alice--web (users/alice/web/web.yaml)",
				"change container bob--web (users/bob/web/web.yaml)", "create platform (platform.yaml)",
			},
		},
		"volume, description and key": {
			files{
				"users/alice/shop/data.yaml":   "apiVersion: bayplan.dev/v1\nkind: Volume\nmetadata: {name: data}\nspec: {size: 2Gi}\n",
				"users/alice/shop/space.yaml":  "apiVersion: bayplan.dev/v1\nkind: Space\nmetadata: {name: shop}\n",
				"users/alice/keys/laptop.yaml": keyFile("laptop", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
			},
			[]string{
				"change volume alice--shop/data (users/alice/shop/data.yaml)", "change space alice--shop (users/alice/shop/space.yaml)",
				"change SSH key alice/laptop (users/alice/keys/laptop.yaml)",
			},
		},
	}
}

func TestDiff(t *testing.T) {
	loader := NewLoader()
	from := load(t, loader, twoUsers().fsys())
	for name, test := range diffTests() {
		t.Run(name, func(t *testing.T) {
			to := load(t, loader, twoUsers().with(test.changes).fsys())
			if diff := cmp.Diff(test.want, lines(Diff(from, to))); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
	if got := len(Diff(nil, from)); got != 9 {
		t.Errorf("got %d changes from nothing, want 9", got)
	}
	if got := len(Diff(from, nil)); got != 9 {
		t.Errorf("got %d changes to nothing, want 9", got)
	}
	if got := Diff(from, load(t, loader, files{"platform.yaml": "a: ["}.fsys())); len(got) != 0 {
		t.Errorf("got %v, want nothing to be taken for deleted in a frozen fleet", got)
	}
}

func TestShrinks(t *testing.T) {
	volume := func(size string) files {
		return files{"users/alice/shop/data.yaml": "apiVersion: bayplan.dev/v1\nkind: Volume\nmetadata: {name: data}\nspec:\n  size: " + size + "\n"}
	}
	from := load(t, NewLoader(), twoUsers().fsys())
	want := "users/alice/shop/data.yaml:5:9: error: spec.size: 1G is less than 1Gi, and a volume can only grow\n" +
		"  help: keep the size, or create a volume of another name\n"
	if diff := cmp.Diff(want, Shrinks(from, load(t, NewLoader(), twoUsers().with(volume("1000M")).fsys())).Text()); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	for _, size := range []string{"1Gi", "1024Mi", "2Gi"} {
		if got := Shrinks(from, load(t, NewLoader(), twoUsers().with(volume(size)).fsys())); len(got) != 0 {
			t.Errorf("%s: got findings\n%s", size, got.Text())
		}
	}
	if got := Shrinks(nil, from); len(got) != 0 {
		t.Errorf("got findings from nothing\n%s", got.Text())
	}
}
