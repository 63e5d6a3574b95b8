package webhook

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"bayplan.dev/schema"
)

// openAPI is as much of the document as the tests look at.
type openAPI struct {
	OpenAPI string                             `json:"openapi"`
	Paths   map[string]map[string]apiOperation `json:"paths"`
	Schemas struct {
		Schemas map[string]json.RawMessage `json:"schemas"`
	} `json:"components"`
}

type apiOperation struct {
	OperationID string   `json:"operationId"`
	Summary     string   `json:"summary"`
	Tags        []string `json:"tags"`
	Parameters  []struct {
		Name string `json:"name"`
		In   string `json:"in"`
	} `json:"parameters"`
	Responses map[string]struct {
		Content map[string]struct {
			Schema struct {
				Ref string `json:"$ref"`
			} `json:"schema"`
		} `json:"content"`
	} `json:"responses"`
}

// document returns the document and a compiler that knows it.
func document(t *testing.T, h *house) (openAPI, *jsonschema.Compiler) {
	t.Helper()
	w := h.get(t, "/openapi.json")
	if w.Code != http.StatusOK {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	raw, err := jsonschema.UnmarshalJSON(bytes.NewReader(w.Body.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource("https://bay.example/openapi.json", raw); err != nil {
		t.Fatal(err)
	}
	return decode[openAPI](t, w), c
}

func validate(t *testing.T, c *jsonschema.Compiler, ref string, body []byte) {
	t.Helper()
	s, err := c.Compile("https://bay.example/openapi.json" + ref)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(v); err != nil {
		t.Errorf("%s doesn't hold:\n%v\n%s", ref, err, body)
	}
}

func TestOpenAPISchemasCompile(t *testing.T) {
	doc, c := document(t, newHouse(t))
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("got OpenAPI %s", doc.OpenAPI)
	}
	for name := range doc.Schemas.Schemas {
		if _, err := c.Compile("https://bay.example/openapi.json#/components/schemas/" + name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, ok := doc.Schemas.Schemas["ErrorModel"]; ok {
		t.Error("the document has a model of errors that no route answers with")
	}
}

// What is asked of each route; every documented route must be here.
func requests() map[string][]string {
	return map[string][]string{
		"/compute/containers":              {"/compute/containers", "/compute/containers?limit=1", "/compute/containers?limit=0"},
		"/compute/containers/{id}":         {"/compute/containers/alice--web", "/compute/containers/alice--shop--api", "/compute/containers/alice--old", "/compute/containers/x"},
		"/compute/containers/{id}/ingress": {"/compute/containers/alice--web/ingress", "/compute/containers/x/ingress"},
		"/compute/containers/{id}/ssh":     {"/compute/containers/alice--web/ssh", "/compute/containers/x/ssh"},
		"/compute/containers/{id}/objects": {"/compute/containers/alice--web/objects", "/compute/containers/bob--blog/objects", "/compute/containers/alice--old/objects", "/compute/containers/x/objects"},

		"/compute/containers/{id}/exec":          {"/compute/containers/alice--web/exec", "/compute/containers/x/exec", "/compute/containers/alice--web/exec?cols=x"},
		"/compute/containers/{id}/ports/{port}":  {"/compute/containers/alice--web/ports/80", "/compute/containers/x/ports/80", "/compute/containers/alice--web/ports/0"},
		"/compute/containers/{id}/logs":          {"/compute/containers/alice--web/logs?tail=2", "/compute/containers/x/logs", "/compute/containers/alice--web/logs?since=x"},
		"/compute/containers/{id}/metrics":       {"/compute/containers/alice--web/metrics", "/compute/containers/x/metrics"},
		"/compute/containers/{id}/events":        {"/compute/containers/alice--web/events", "/compute/containers/x/events"},
		"/compute/containers/{id}/files":         {"/compute/containers/alice--web/files?path=/data/a.txt", "/compute/containers/alice--web/files?path=/nope", "/compute/containers/alice--web/files"},
		"/compute/containers/{id}/files/list":    {"/compute/containers/alice--web/files/list?path=/data", "/compute/containers/alice--web/files/list?path=data"},
		"/compute/containers/{id}/files/stat":    {"/compute/containers/alice--web/files/stat?path=/data", "/compute/containers/alice--web/files/stat?path=/../x"},
		"/compute/containers/{id}/files/archive": {"/compute/containers/alice--web/files/archive?path=/data", "/compute/containers/alice--web/files/archive?path=/nope"},

		"/compute/ephemerals/{id}": {"/compute/ephemerals/alice--web"},
		"/compute/spaces":          {"/compute/spaces"},
		"/compute/spaces/{id}":     {"/compute/spaces/alice--shop", "/compute/spaces/bob--blog", "/compute/spaces/carol--gone", "/compute/spaces/x"},
		"/compute/volumes":         {"/compute/volumes"},
		"/compute/volumes/{id}":    {"/compute/volumes/alice--shop--data", "/compute/volumes/alice--shop--old", "/compute/volumes/x"},
		"/compute/ssh-keys":        {"/compute/ssh-keys"},
		"/auth/keys":               {"/auth/keys"},
		"/auth":                    {"/auth"},
		"/compute/images":          {"/compute/images"},
		"/compute/presets":         {"/compute/presets"},
		"/compute/sync":            {"/compute/sync"},
		"/compute/findings":        {"/compute/findings", "/compute/findings?severity=x"},
		"/compute/limits":          {"/compute/limits?user=alice", "/compute/limits"},
		"/healthz":                 {"/healthz"},
		"/readyz":                  {"/readyz"},
		"/":                        {"/"},
		"/compute/ws":              {"/compute/ws"},
		"/compute/events":          {"/compute/events?since=x"},
		"/schemas/v1/{kind}.json":  {"/schemas/v1/container.json", "/schemas/v1/nope.json"},
	}
}

func TestAnswersAreAsDocumented(t *testing.T) {
	h := newHouse(t)
	h.hub.sync.Findings = h.fleet.Findings
	doc, c := document(t, h)
	asked := requests()
	for path, operations := range doc.Paths {
		if op, ok := operations["post"]; ok && strings.HasPrefix(path, "/hooks/") {
			forge := Forge(strings.TrimPrefix(path, "/hooks/"))
			check(t, c, path, op, h.post(t, forge, payload(t, "gitea_push_main"), nil))
			check(t, c, path, op, h.post(t, forge, nil, func(h http.Header) { clear(h) }))
			continue
		}
		if _, reads := operations["get"]; !reads {
			continue
		}
		if asked[path] == nil {
			t.Errorf("%s is documented but not asked here", path)
		}
		for _, target := range asked[path] {
			check(t, c, path, operations["get"], h.get(t, target))
		}
	}
}

// check holds an answer against what its operation says.
func check(t *testing.T, c *jsonschema.Compiler, path string, op apiOperation, w *httptest.ResponseRecorder) {
	t.Helper()
	response, ok := op.Responses[strconv.Itoa(w.Code)]
	if !ok {
		response, ok = op.Responses["default"]
	}
	media, known := response.Content[w.Header().Get("Content-Type")]
	switch {
	case !ok || !known:
		t.Errorf("%s: %d with %s isn't documented", path, w.Code, w.Header().Get("Content-Type"))
	case media.Schema.Ref != "":
		validate(t, c, media.Schema.Ref, w.Body.Bytes())
	}
}

func TestFramesAreAsDocumented(t *testing.T) {
	h := newHouse(t)
	h.hub.sync.Findings = h.fleet.Findings
	_, c := document(t, h)
	for name, data := range map[string]any{
		"ContainerStatus":  h.hub.Containers()[0],
		"ContainerDeleted": schema.ContainerDeleted{ID: containerID(t, "alice--web")},
		"SyncStatus":       h.hub.sync,
		"Frame":            schema.Frame{Type: schema.FrameSync, Seq: 1, Data: h.hub.sync},
	} {
		body, err := json.Marshal(data)
		if err != nil {
			t.Fatal(err)
		}
		validate(t, c, "#/components/schemas/"+name, body)
	}
}

// Every route is in the document, but for those that serve it and the repository.
func TestEveryRouteIsDocumented(t *testing.T) {
	h := newHouse(t, func(o *Options) { o.Git, o.Console = http.NotFoundHandler(), http.NotFoundHandler() })
	doc, _ := document(t, h)
	undocumented := []string{"/openapi.json", "/openapi.yaml", "/openapi-3.0.json", "/openapi-3.0.yaml", "/docs", "/git/fleet.git/*", "/console/*"}
	err := chi.Walk(h.router, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if _, ok := doc.Paths[route][strings.ToLower(method)]; !ok && !slices.Contains(undocumented, route) {
			t.Errorf("%s %s isn't documented", method, route)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for path, operations := range doc.Paths {
		for method, op := range operations {
			if op.OperationID == "" || seen[op.OperationID] || op.Summary == "" || len(op.Tags) != 1 {
				t.Errorf("%s %s: %+v", method, path, op)
			}
			seen[op.OperationID] = true
		}
	}
}

func TestParametersOfLists(t *testing.T) {
	doc, _ := document(t, newHouse(t))
	var got []string
	for _, p := range doc.Paths["/compute/containers"]["get"].Parameters {
		got = append(got, p.In+" "+p.Name)
	}
	slices.Sort(got)
	want := []string{"query continue", "query limit", "query space", "query status", "query user"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNotModifiedIsDocumented(t *testing.T) {
	doc, _ := document(t, newHouse(t))
	for _, code := range []string{"200", "304", "default"} {
		if _, ok := doc.Paths["/compute/containers/{id}"]["get"].Responses[code]; !ok {
			t.Errorf("%s isn't documented", code)
		}
	}
}

func TestOpenAPIYAML(t *testing.T) {
	w := newHouse(t).get(t, "/openapi.yaml")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "/compute/containers:") {
		t.Errorf("got %d %.200s", w.Code, w.Body)
	}
}

func TestDocsPageLoadsNothingFromElsewhere(t *testing.T) {
	h := newHouse(t)
	w := h.get(t, "/docs")
	page := w.Body.String()
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		t.Fatalf("got %d %s", w.Code, w.Header().Get("Content-Type"))
	}
	for _, no := range []string{"<script", "src=", "<link", "@import", "url(", "ZgotmplZ"} {
		if strings.Contains(page, no) {
			t.Errorf("the page has %s", no)
		}
	}
	if got := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'; style-src 'sha256-") {
		t.Errorf("policy: got %s", got)
	}
	_, style, _ := strings.Cut(page, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	hash := sha256.Sum256([]byte(style))
	if want := "'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'"; !strings.Contains(w.Header().Get("Content-Security-Policy"), want) {
		t.Error("the policy forbids the page's own style")
	}
	doc, _ := document(t, h)
	for path := range doc.Paths {
		if !strings.Contains(page, "> "+path+"</h3>") {
			t.Errorf("the page lacks %s", path)
		}
	}
	// The type of each problem leads to its explanation.
	for _, code := range docsCodes {
		if !strings.Contains(page, `<tr id="`+code.Code+`">`) {
			t.Errorf("the page doesn't explain %s", code.Code)
		}
	}
}
