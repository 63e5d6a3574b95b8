package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

// treeOf is a snapshot of files.
func treeOf(t *testing.T, files map[string]string) schema.Snapshot {
	t.Helper()
	folder := fstest.MapFS{}
	for name, text := range files {
		folder[name] = &fstest.MapFile{Data: []byte(text)}
	}
	s, err := schema.FromFS(folder)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const secretSpec = `apiVersion: bayplan.dev/v1
kind: Container
metadata: {name: web}
spec:
  image: registry.example.com/app:1
  env: [{name: PASSWORD, value: hunter2}]
  ports: [{containerPort: 8080}]
  ingress: [{port: 80, targetPort: 8080}]
`

// A dry run tells what is created and what that means, shows no secret, and
// says nothing of what other users have.
func TestPlanOfADryRun(t *testing.T) {
	s := &server{check: newPushCheck()}
	others := map[string]string{
		"platform.yaml":            "apiVersion: bayplan.dev/v1\nkind: Platform\nmetadata: {name: platform}\nspec: {limits: {default: {containers: 2}}}\n",
		"users/bob/blog/blog.yaml": strings.ReplaceAll(secretSpec, "name: web", "name: blog"),
	}
	with := maps.Clone(others)
	with["users/alice/web/web.yaml"] = secretSpec
	p, err := s.plan(t.Context(), "alice", webhook.Trial{Before: treeOf(t, others), After: treeOf(t, with)})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, no := range []string{"hunter2", "bob", "image-registry-new"} {
		if strings.Contains(string(text), no) {
			t.Errorf("the plan tells %s: %s", no, text)
		}
	}
	for _, yes := range []string{"new-public-host", "spec.env[PASSWORD].value", "(hidden)", `"kind":"Deployment"`, `"what":"containers","before":"0","after":"1","limit":"2"`} {
		if !strings.Contains(string(text), yes) {
			t.Errorf("the plan lacks %s: %s", yes, text)
		}
	}
	if p.Summary.Create != 2 || p.Summary.Delete != 0 {
		t.Errorf("got %+v, want a space and a container to be created", p.Summary)
	}
	back, err := s.plan(t.Context(), "alice", webhook.Trial{Before: treeOf(t, with), After: treeOf(t, others)})
	if err != nil || back.Summary.Delete != 2 || back.Summary.Cautions["mass-delete"] != 0 {
		t.Errorf("got %+v, %v, want both to be deleted", back, err)
	}
}

func TestFieldChanges(t *testing.T) {
	spec := func(image, value string) map[string]any {
		return map[string]any{"image": image, "env": []any{map[string]any{"name": "KEY", "value": value}}}
	}
	for name, tt := range map[string]struct {
		before, after map[string]any
		want          []webhook.FieldChange
	}{
		"nothing": {spec("a", "x"), spec("a", "x"), nil},
		"a value": {spec("a", "x"), spec("b", "x"), []webhook.FieldChange{{Action: schema.ActionChange, Path: "spec.image", Before: "a", After: "b"}}},
		"a secret": {spec("a", "x"), spec("a", "y"), []webhook.FieldChange{
			{Action: schema.ActionChange, Path: "spec.env[KEY].value", Before: "(hidden)", After: "(hidden, changed)"},
		}},
		"all": {nil, spec("a", "x"), []webhook.FieldChange{
			{Action: schema.ActionCreate, Path: "spec.env[KEY].value", After: "(hidden)"}, {Action: schema.ActionCreate, Path: "spec.image", After: "a"},
		}},
	} {
		got, more := fieldChanges(tt.before, tt.after)
		if diff := cmp.Diff(tt.want, got); diff != "" || more != 0 {
			t.Errorf("%s: %d more (-want +got):\n%s", name, more, diff)
		}
	}
}

func TestRenderedObjectsShowNoSecrets(t *testing.T) {
	s := &server{check: newPushCheck()}
	fleet, err := s.check.loader.Load(t.Context(), treeOf(t, map[string]string{"users/alice/web/web.yaml": secretSpec}))
	if err != nil {
		t.Fatal(err)
	}
	id := schema.SpaceID{User: "alice", Name: "web"}
	for range 2 { // what is hidden in a copy must not be hidden in what is rendered once
		objects, err := s.objects(fleet, id)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(objects)
		if err != nil || strings.Contains(string(text), "hunter2") || !strings.Contains(string(text), `"value":"(hidden)"`) {
			t.Errorf("got %s, %v", text, err)
		}
	}
	rendered, err := s.check.renderer.Space(fleet, id)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := json.Marshal(rendered); err != nil || !strings.Contains(string(text), "hunter2") {
		t.Errorf("what is applied was changed: %s, %v", text, err)
	}
}

var consolePage = regexp.MustCompile(`^(http://[^/]+)/#code=([A-Z2-7]{26})\n$`)

// The page that bay open names is signed in as the command is, once.
func TestOpenTheConsole(t *testing.T) {
	url, shopKey, rootKey := guardedServer(t)
	env := []string{"XDG_CONFIG_HOME=" + t.TempDir()}
	callBay(t, env, shopKey, "login", "--endpoint-url", url, "--app", "shop", "--user", "bob").ok(t)
	exchange := func(stdout string) webhook.Token {
		t.Helper()
		found := consolePage.FindStringSubmatch(stdout)
		if found == nil || found[1] != url {
			t.Fatalf("bay open says %q", stdout)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/auth/code", strings.NewReader(`{"code":"`+found[2]+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var token webhook.Token
		if err := json.NewDecoder(answer.Body).Decode(&token); err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("got %d, %v", answer.StatusCode, err)
		}
		return token
	}
	token := exchange(callBay(t, env, "", "open").ok(t).stdout)
	if token.User != "shop-bob" || !token.Renewable {
		t.Errorf("with a key: got %+v", token)
	}
	// A token that was given is handed over as it is.
	given := exchange(callBay(t, nil, "", "open", "--endpoint-url", url, "--access-token", token.Token).ok(t).stdout)
	if diff := cmp.Diff(token, given); diff != "" {
		t.Errorf("with a token (-token +given):\n%s", diff)
	}
	if got := exchange(callBay(t, nil, "", "open", "--endpoint-url", url, "--app", "root", "--user", "ops", "--secret-key", rootKey).ok(t).stdout); got.User != "root-ops" {
		t.Errorf("an admin: got %+v", got)
	}
	if got := callBay(t, nil, "", "open", "--endpoint-url", url, "--access-token", "x"); got.code != exitAuth || got.stdout != "" {
		t.Errorf("with a bad token: got %d %q", got.code, got.stdout)
	}
	if got := callBay(t, nil, "", "open", "--endpoint-url", url+"/").ok(t); got.stdout != url+"/\n" {
		t.Errorf("without credentials: got %q", got.stdout)
	}
}

// What bay up prints opens the console of its server.
func TestUpLoginOpensTheConsole(t *testing.T) {
	l, err := newUpLogin(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := listenOn(t.Context(), "127.0.0.1:0", "listen")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	s := &server{listeners: listeners{api: listener}}
	a := &app{}
	if s.guard, err = l.config.guard(a.logger(logConfig{}), listener.Addr()); err != nil {
		t.Fatal(err)
	}
	s.api = webhook.New(webhook.Options{
		Log: a.logger(logConfig{}), Hub: noHub{}, Poke: func() {}, Auth: s.guard, Fleet: func() *schema.Fleet { return nil },
	})
	defer s.api.Close()
	page, err := l.page(t.Context(), s)
	if err != nil || !consolePage.MatchString(page+"\n") || !strings.HasPrefix(page, urlOf(listener)+"/#") {
		t.Errorf("got %q, %v", page, err)
	}
	if text, err := os.ReadFile(filepath.Join(filepath.Dir(l.config.File), "secret-key")); err != nil || strings.Contains(page, strings.TrimSpace(string(text))) {
		t.Errorf("the page's URL holds the key: %v", err)
	}
}

// A halt is lifted by a call, of the one who has seen it.
func TestConfirmByACall(t *testing.T) {
	f := newFleet(t)
	ids := f.fill(8)
	for _, id := range ids[:6] {
		f.remove(file(id))
	}
	revision, _ := f.push("Delete six of eight")
	if status := f.waitSync(revision, schema.SyncHalted); status.Confirm != revision || len(status.Pending) != 6 {
		t.Errorf("got %+v, want to be let through by %s", status, revision)
	}
	confirm := func(word schema.Revision) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url+"/compute/sync/confirm", strings.NewReader(`{"revision":"`+string(word)+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		return answer.StatusCode
	}
	if got := confirm(schema.Revision(strings.Repeat("a", 40))); got != http.StatusConflict {
		t.Errorf("another word: got %d, want 409", got)
	}
	f.cluster.mustDeployment(ids[0])
	if got := confirm(revision); got != http.StatusAccepted {
		t.Errorf("the word: got %d, want 202", got)
	}
	if status := f.waitSync(revision, schema.SyncSynced); status.Confirm != "" {
		t.Errorf("got %+v", status)
	}
	if got := confirm(revision); got != http.StatusConflict {
		t.Errorf("nothing is halted: got %d, want 409", got)
	}
}

// contents is a tree of which only files are asked.
type contents map[string]string

func (contents) Entries(string) ([]schema.Entry, error) { return nil, nil }

func (b contents) Blob(hash string, limit int64) ([]byte, error) {
	text, ok := b[hash]
	switch {
	case !ok:
		return nil, schema.Errorf(schema.Unavailable, "repository is damaged")
	case int64(len(text)) > limit:
		return nil, schema.Errorf(schema.Exceeded, "too large")
	}
	return []byte(text), nil
}

func TestFilesOfACommit(t *testing.T) {
	tree := contents{"1": "one", "2": strings.Repeat("x", maxContent+1)}
	for name, tt := range map[string]struct {
		files map[string]string
		want  webhook.Commit
		code  schema.Code
	}{
		"none":      {nil, webhook.Commit{Contents: map[string][]byte{}}, ""},
		"one":       {map[string]string{"a": "1"}, webhook.Commit{Contents: map[string][]byte{"a": []byte("one")}}, ""},
		"too large": {map[string]string{"a": "1", "b": "2"}, webhook.Commit{Contents: map[string][]byte{"a": []byte("one")}, Unread: true}, ""},
		"damaged":   {map[string]string{"a": "3"}, webhook.Commit{Contents: map[string][]byte{}}, schema.Unavailable},
	} {
		var got webhook.Commit
		if err := read(tree, tt.files, &got); schema.CodeOf(err) != tt.code {
			t.Errorf("%s: got %v", name, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
