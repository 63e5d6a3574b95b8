package mutation

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

// tree is a Tree of files in memory; the hash of a file is "#" and its content.
type tree map[string]string

func (t tree) Base() schema.Snapshot { return snapshotOf(t) }

func (t tree) Stat(name string) (schema.Entry, error) {
	if text, ok := t[name]; ok {
		return schema.Entry{Mode: schema.ModeFile, Hash: "#" + text}, nil
	}
	_, err := t.List(name)
	return schema.Entry{Mode: schema.ModeFolder}, err
}

func (t tree) Read(name string) ([]byte, error) {
	text, ok := t[name]
	switch {
	case !ok:
		return nil, schema.Errorf(schema.NotFound, "no %s", name)
	case len(text) > maxFile:
		return nil, schema.Errorf(schema.Exceeded, "%s is large", name)
	}
	return []byte(text), nil
}

func (t tree) List(dir string) ([]schema.Entry, error) {
	seen := map[string]schema.Entry{}
	for name := range t {
		if rest, ok := strings.CutPrefix(name, dir+"/"); ok {
			first, _, deeper := strings.Cut(rest, "/")
			seen[first] = schema.Entry{Name: first, Mode: schema.ModeFile}
			if deeper {
				seen[first] = schema.Entry{Name: first, Mode: schema.ModeFolder}
			}
		}
	}
	if len(seen) == 0 {
		return nil, schema.Errorf(schema.NotFound, "no %s", dir)
	}
	var entries []schema.Entry
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		entries = append(entries, seen[name])
	}
	return entries, nil
}

func (t tree) Write(name string, content []byte) error {
	t[name] = string(content)
	return nil
}

func (t tree) Remove(name string) error {
	maps.DeleteFunc(t, func(n, _ string) bool { return n == name || strings.HasPrefix(n, name+"/") })
	return nil
}

func snapshotOf(t tree) schema.Snapshot {
	folder := fstest.MapFS{}
	for name, text := range t {
		folder[name] = &fstest.MapFile{Data: []byte(text)}
	}
	s, err := schema.FromFS(folder)
	if err != nil {
		panic(err)
	}
	return s
}

func doc(kind, name, spec string) string {
	return fmt.Sprintf("apiVersion: bayplan.dev/v1\nkind: %s\nmetadata: {name: %s}\nspec: {%s}\n", kind, name, spec)
}

func shop(name string) Target {
	return Target{Kind: schema.KindContainer, User: "alice", Space: "shop", Name: name}
}

// try runs an edit on a copy and returns the files that differ.
func try(t *testing.T, before tree, edit Edit) (map[string]string, Outcome, error) {
	t.Helper()
	after := maps.Clone(before)
	out, err := edit(after)
	changed := map[string]string{}
	for name, text := range after {
		if before[name] != text {
			changed[name] = text
		}
	}
	for name := range before {
		if _, ok := after[name]; !ok {
			changed[name] = "(gone)"
		}
	}
	return changed, out, err
}

func wantFiles(t *testing.T, got, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files that differ (-want +got):\n%s", diff)
	}
}

// A document is found by what it says, wherever people have put it.
func TestFind(t *testing.T) {
	for name, files := range map[string]tree{
		"own file":     {"users/alice/shop/api.yaml": doc("Container", "api", "image: a")},
		"another file": {"users/alice/shop/all.yml": doc("Container", "api", "image: a")},
		"among others": {"users/alice/shop/all.yaml": doc("Container", "db", "") + "---\n" + doc("Container", "api", "image: a") + "---\n" + doc("Volume", "api", "size: 1")},
		"escaped name": {"users/alice/shop/x.yaml": doc("Container", `"a\x70i"`, "image: a")},
		"after a broken file": {
			"users/alice/shop/a.yaml": "api: [", "users/alice/shop/b.yaml": doc("Container", "api", "image: a"), "users/alice/shop/c.yaml": "api: &a [*a]\n",
		},
		"own file is another's": {"users/alice/shop/api.yaml": doc("Volume", "api", "size: 1"), "users/alice/shop/b.yaml": doc("Container", "api", "image: a")},
		"after a large file":    {"users/alice/shop/a.yaml": strings.Repeat("#api\n", maxFile/4), "users/alice/shop/b.yaml": doc("Container", "api", "image: a")},
	} {
		t.Run(name, func(t *testing.T) {
			for _, in := range []reader{files, snapshot(snapshotOf(files))} {
				found, err := find(in, shop("api"))
				if err != nil || found.spec["image"] != "a" {
					t.Errorf("got %+v, %v", found, err)
				}
			}
		})
	}
}

func TestFindNothing(t *testing.T) {
	for name, c := range map[string]struct {
		files tree
		code  schema.Code
	}{
		"no folder":        {tree{}, schema.NotFound},
		"other names":      {tree{"users/alice/shop/x.yaml": doc("Container", "api2", "image: api")}, schema.NotFound},
		"other kind":       {tree{"users/alice/shop/api.yaml": doc("Volume", "api", "")}, schema.NotFound},
		"other user":       {tree{"users/bob/shop/api.yaml": doc("Container", "api", "")}, schema.NotFound},
		"hidden":           {tree{"users/alice/shop/.api.yaml": doc("Container", "api", "")}, schema.NotFound},
		"no document":      {tree{"users/alice/shop/api.txt": doc("Container", "api", "")}, schema.NotFound},
		"deeper":           {tree{"users/alice/shop/x.yaml/api.yaml": doc("Container", "api", "")}, schema.NotFound},
		"own file broken":  {tree{"users/alice/shop/api.yaml": "api: ["}, schema.Invalid},
		"own file aliased": {tree{"users/alice/shop/api.yaml": "a: &api 1\nb: *api\n"}, schema.Invalid},
		"own file large":   {tree{"users/alice/shop/api.yaml": strings.Repeat("#api\n", maxFile/4)}, schema.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := find(c.files, shop("api")); schema.CodeOf(err) != c.code {
				t.Errorf("got %v, want %s", err, c.code)
			}
		})
	}
}

func TestCreateBesidesAnother(t *testing.T) {
	other := doc("Volume", "api", "size: 1Gi")
	got, out, err := try(t, tree{"users/alice/shop/api.yaml": other}, Create(shop("api"), map[string]any{"image": "a"}, nil))
	want := other + "---\napiVersion: bayplan.dev/v1\nkind: Container\nmetadata:\n  name: api\nspec:\n  image: a\n"
	if err != nil || out.Hash != "#"+want || out.File != "users/alice/shop/api.yaml" {
		t.Errorf("got %+v, %v", out, err)
	}
	wantFiles(t, got, map[string]string{"users/alice/shop/api.yaml": want})
}

func TestCreateConflicts(t *testing.T) {
	files := tree{"users/alice/shop/x.yaml": doc("Container", "api", "image: a")}
	for _, target := range []Target{shop("api"), Space(schema.SpaceID{User: "alice", Name: "shop"})} {
		got, _, err := try(t, files, Create(target, nil, nil))
		if schema.CodeOf(err) != schema.Conflict || len(got) > 0 {
			t.Errorf("%s: got %v, %v", target, got, err)
		}
	}
}

func TestDeleteLeavesOthers(t *testing.T) {
	api, db := doc("Container", "api", "image: a"), doc("Container", "db", "image: b")
	for name, c := range map[string]struct {
		files tree
		want  map[string]string
		gone  bool
	}{
		"last of the space": {tree{"users/alice/shop/x.yaml": api}, map[string]string{"users/alice/shop/x.yaml": "(gone)"}, true},
		"last of the file":  {tree{"users/alice/shop/x.yaml": api, "users/alice/shop/y.yaml": db}, map[string]string{"users/alice/shop/x.yaml": "(gone)"}, false},
		"of several":        {tree{"users/alice/shop/x.yaml": api + "---\n" + db}, map[string]string{"users/alice/shop/x.yaml": "---\n" + db}, false},
		"twice":             {tree{"users/alice/shop/x.yaml": api, "users/alice/shop/y.yaml": api}, map[string]string{"users/alice/shop/x.yaml": "(gone)", "users/alice/shop/y.yaml": "(gone)"}, true},
		"readme stays":      {tree{"users/alice/shop/x.yaml": api, "users/alice/shop/README": "x"}, map[string]string{"users/alice/shop/x.yaml": "(gone)"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, out, err := try(t, c.files, Delete(shop("api"), nil))
			if err != nil || out.SpaceGone != c.gone {
				t.Errorf("got %+v, %v", out, err)
			}
			wantFiles(t, got, c.want)
		})
	}
}

func TestDeleteSpaceLooksIntoEveryFile(t *testing.T) {
	id := schema.SpaceID{User: "alice", Name: "shop"}
	space := doc("Space", "shop", "")
	for name, c := range map[string]struct {
		files tree
		users []string
	}{
		"empty":   {tree{"users/alice/shop/space.yaml": space, "users/alice/shop/README.md": "x"}, nil},
		"used":    {tree{"users/alice/shop/all.yaml": space + "---\n" + doc("Container", "api", "") + "---\n" + doc("Volume", "data", "")}, []string{"container alice--shop--api", "volume alice--shop--data"}},
		"broken":  {tree{"users/alice/shop/a.yaml": "x: ["}, []string{"the file can't be read"}},
		"strange": {tree{"users/alice/shop/a.yaml": doc("Pod", "x", "")}, []string{`a document of kind "Pod"`}},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, err := try(t, c.files, DeleteSpace(id))
			if c.users == nil {
				if err != nil || len(got) != len(c.files) {
					t.Errorf("got %v, %v", got, err)
				}
				return
			}
			used, ok := err.(*InUseError) //nolint:errorlint // the very error
			if !ok || schema.CodeOf(err) != schema.Conflict || len(used.Findings()) != len(c.users) || len(got) > 0 {
				t.Fatalf("got %v, %v", got, err)
			}
			for i, want := range c.users {
				if f := used.Findings()[i]; !strings.HasPrefix(f.Message, want) {
					t.Errorf("got %+v, want %s", f, want)
				}
			}
		})
	}
	if _, _, err := try(t, tree{}, DeleteSpace(id)); schema.CodeOf(err) != schema.NotFound {
		t.Errorf("missing: got %v", err)
	}
}

func TestIngress(t *testing.T) {
	const host = "alice--shop--api.bay.example"
	file := func(ingress string) tree {
		return tree{"users/alice/shop/api.yaml": "kind: Container\nmetadata: {name: api}\nspec:\n  image: a # here\n" + ingress}
	}
	for name, c := range map[string]struct {
		before, after string
		edit          Edit
		code          schema.Code
	}{
		"first":          {"", "  ingress:\n    - port: 443\n      targetPort: 8080\n", AddIngress(shop("api"), Ingress{Port: 443, TargetPort: 8080}, host), ""},
		"same port":      {"", "  ingress:\n    - port: 80\n      path: /x\n", AddIngress(shop("api"), Ingress{Port: 80, TargetPort: 80, Path: "/x"}, host), ""},
		"another":        {"  ingress:\n  - port: 443 # tls\n", "  ingress:\n  - port: 443 # tls\n  - port: 80\n", AddIngress(shop("api"), Ingress{Port: 80}, host), ""},
		"there already":  {"  ingress: [{port: 443, host: " + host + "}]\n", "  ingress: [{port: 443, host: " + host + "}]\n", AddIngress(shop("api"), Ingress{Port: 443, Path: "/"}, host), ""},
		"leads away":     {"  ingress: [{port: 443}]\n", "", AddIngress(shop("api"), Ingress{Port: 443, TargetPort: 1}, host), schema.Conflict},
		"no list":        {"  ingress: yes\n", "", AddIngress(shop("api"), Ingress{Port: 443}, host), schema.Invalid},
		"last":           {"  ingress: [{port: 443}]\n", "", RemoveIngress(shop("api"), Ingress{Port: 443}, host), ""},
		"by host":        {"  ingress:\n  - port: 443\n  - {port: 443, host: b.example}\n", "  ingress:\n  - {port: 443, host: b.example}\n", RemoveIngress(shop("api"), Ingress{Port: 443, Host: host}, host), ""},
		"by path":        {"  ingress:\n  - {port: 443, path: /a}\n  - port: 443\n", "  ingress:\n  - {port: 443, path: /a}\n", RemoveIngress(shop("api"), Ingress{Port: 443, Path: "/"}, host), ""},
		"missing":        {"  ingress: [{port: 443}]\n", "", RemoveIngress(shop("api"), Ingress{Port: 80}, host), schema.NotFound},
		"missing at all": {"", "", RemoveIngress(shop("api"), Ingress{Port: 80}, host), schema.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			before := file(c.before)
			got, _, err := try(t, before, c.edit)
			if schema.CodeOf(err) != c.code {
				t.Fatalf("got %v, want %q", err, c.code)
			}
			want := map[string]string{}
			if c.code == "" && c.before != c.after {
				want = file(c.after)
			}
			wantFiles(t, got, want)
		})
	}
}

func TestRollback(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	name := "users/alice/shop/api.yaml"
	file := func(spec string) tree {
		return tree{name: "kind: Container\nmetadata: {name: api}\nspec: # ours\n" + spec}
	}
	for title, c := range map[string]struct {
		then, now, want string
		code            schema.Code
	}{
		"values":    {"  image: a\n  env: [{name: A, value: \"1\"}]\n", "  image: b # mine\n  workingDir: /x\n", "  image: a # mine\n  env:\n    - name: A\n      value: \"1\"\n", ""},
		"below":     {"  resources: {limits: {cpu: 1, memory: 1Gi}}\n  image: a\n", "  image: a\n  resources: {limits: {cpu: 2}}\n", "  image: a\n  resources: {limits: {cpu: \"1\", memory: 1Gi}}\n", ""},
		"same":      {"  image: a\n", "  image: a\n", "  image: a\n", ""},
		"expiry":    {"  image: a\n  expiresAt: 2026-01-01T00:00:00Z\n", "  image: b\n  expiresAt: 2027-01-01T00:00:00Z\n", "  image: a\n  expiresAt: 2027-01-01T00:00:00Z\n", ""},
		"no expiry": {"  image: a\n", "  image: b\n  expirePolicy: Delete\n", "  image: a\n  expirePolicy: Delete\n", ""},
	} {
		t.Run(title, func(t *testing.T) {
			got, _, err := try(t, file(c.now), Rollback(shop("api"), snapshotOf(file(c.then)), now, nil))
			if schema.CodeOf(err) != c.code {
				t.Fatal(err)
			}
			want := map[string]string{}
			if c.now != c.want {
				want = file(c.want)
			}
			wantFiles(t, got, want)
		})
	}
	for then, code := range map[string]schema.Code{
		"  image: a\n": "", "  image: a\n  expiresAt: 2026-12-01T00:00:00Z\n": "", "  image: a\n  expiresAt: 2026-11-21T10:00:00Z\n": schema.Invalid,
	} {
		if _, _, err := try(t, tree{}, Rollback(shop("api"), snapshotOf(file(then)), now, nil)); schema.CodeOf(err) != code {
			t.Errorf("gone, then %q: got %v, want %q", then, err, code)
		}
	}
	if _, _, err := try(t, file("  image: a\n"), Rollback(shop("api"), snapshotOf(tree{"README": "x"}), now, nil)); schema.CodeOf(err) != schema.Invalid {
		t.Errorf("not there then: got %v", err)
	}
}

func TestTargets(t *testing.T) {
	for id, kind := range map[string]schema.Kind{
		"alice--web": schema.KindContainer, "alice--shop--api": schema.KindContainer, "alice--shop": schema.KindSpace,
		"alice--shop--data": schema.KindVolume, "alice/laptop": schema.KindSSHKey,
	} {
		target, err := ParseTarget(kind, id)
		if err != nil || target.String() != id {
			t.Errorf("%s %s: got %s, %v", kind, id, target, err)
		}
	}
	for id, kind := range map[string]schema.Kind{
		"": schema.KindContainer, "alice": schema.KindSpace, "alice--shop": schema.KindVolume, "alice--shop--": schema.KindVolume,
		"bob": schema.KindSSHKey, "../laptop": schema.KindSSHKey, "alice/../x": schema.KindSSHKey, "alice--keys": schema.KindSpace, "x": schema.KindPlatform,
		"alice--shop--data--x": schema.KindVolume,
	} {
		if target, err := ParseTarget(kind, id); err == nil {
			t.Errorf("%s %q: got %+v", kind, id, target)
		}
	}
}

// maxTime is after everything.
func maxTime() time.Time { return time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC) }
