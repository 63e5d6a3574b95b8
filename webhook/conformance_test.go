package webhook

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"bayplan.dev/schema"
)

// witness holds requests and answers against the document, by a validator that
// isn't ours.
type witness struct {
	*writeHouse
	doc    *openapi3.T
	router routers.Router
	// good are the operations that have been seen to succeed, bad to be refused.
	good, bad map[string]bool
}

func newWitness(t *testing.T) *witness {
	t.Helper()
	w := &witness{
		writeHouse: newWriteHouse(t, func(o *Options) { o.Operations, o.Plan = newTestOperations(), testPlan }),
		good:       map[string]bool{}, bad: map[string]bool{},
	}
	raw := w.get(t, "/openapi.json").Body.Bytes()
	var err error
	if w.doc, err = openapi3.NewLoader().LoadFromData(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.doc.Validate(t.Context(), openapi3.EnableExamplesValidation(), openapi3.EnableSchemaFormatValidation()); err != nil {
		t.Fatalf("the document isn't valid: %v", err)
	}
	if w.router, err = legacy.NewRouter(w.doc); err != nil {
		t.Fatal(err)
	}
	return w
}

// send asks and holds both sides against the document. What the document says
// a request must be is asked of those that succeed only.
func (w *witness) send(t *testing.T, status int, method, target, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	answer := w.want(t, status, method, target, body, header...)
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer x")
	if body != "" {
		r.Header.Set("Content-Type", typeJSON)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	route, params, err := w.router.FindRoute(r)
	if err != nil {
		t.Fatalf("%s %s isn't documented: %v", method, target, err)
	}
	options := &openapi3filter.Options{
		IncludeResponseStatus: true, MultiError: true,
		AuthenticationFunc: func(_ context.Context, in *openapi3filter.AuthenticationInput) error {
			if in.SecuritySchemeName != "bearer" || in.SecurityScheme.Scheme != "bearer" {
				t.Errorf("%s %s: security %s", method, target, in.SecuritySchemeName)
			}
			return nil
		},
	}
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: options}
	name := route.Operation.OperationID
	if status < 300 {
		w.good[name] = true
		if err := openapi3filter.ValidateRequest(t.Context(), in); err != nil {
			t.Errorf("request of %s: %v", name, err)
		}
	} else {
		w.bad[name] = true
	}
	if route.Operation.Responses.Value(http.StatusText(status)) == nil && route.Operation.Responses.Status(status) == nil {
		t.Errorf("%s: %d isn't documented", name, status)
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: status, Header: answer.Header(), Options: options}
	out.SetBodyBytes(answer.Body.Bytes())
	if err := openapi3filter.ValidateResponse(t.Context(), out); err != nil {
		t.Errorf("%d of %s: %v\n%s", status, name, err, answer.Body)
	}
	return answer
}

// TestConformance asks every route of the API for something that it gives and,
// where it can, for something that it refuses.
func TestConformance(t *testing.T) {
	w := newWitness(t)
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
	w.send(t, 202, "POST", "/compute/spaces", `{"name":"shop","description":"The shop","user":"alice"}`, "Idempotency-Key", "a")
	w.send(t, 202, "POST", "/compute/volumes", `{"name":"data","space":"shop","user":"alice","spec":{"size":"5Gi"}}`)
	w.send(t, 202, "POST", "/compute/containers", `{"name":"api","space":"shop","user":"alice","spec":{"image":"nginx:1","ports":[{"containerPort":8080}]},"ttl":"8h"}`, "If-None-Match", "*")
	w.send(t, 202, "POST", "/compute/ssh-keys", `{"name":"laptop","user":"alice","publicKey":"`+key+`"}`)
	w.send(t, 200, "POST", "/compute/containers?dry_run=true", `{"name":"dry","user":"alice","spec":{"image":"nginx:1"}}`)
	made := decode[Written](t, w.send(t, 202, "POST", "/compute/ephemerals", `{"preset":"plain","lifetimeMinutes":30,"user":"alice"}`))
	id := "/compute/containers/alice--shop--api"
	w.send(t, 202, "PATCH", id, `{"spec":{"image":"nginx:2","state":null}}`, "If-Match", w.send(t, 200, "GET", id, "").Header().Get("ETag"))
	w.send(t, 202, "PATCH", id, `{"spec":{"image":"nginx:3"}}`, "Content-Type", typeMergePatch)
	w.send(t, 202, "PUT", id+"/ssh", `{"enabled":true,"keys":["laptop"]}`)
	w.send(t, 202, "POST", id+"/ingress", `{"port":443,"target_port":8080,"path":"/a"}`)
	w.send(t, 202, "POST", id+"/stop", "")
	w.send(t, 200, "POST", id+"/stop", "")
	w.send(t, 202, "POST", id+"/start?wait=applied&timeout=0s", "")
	w.send(t, 202, "POST", id+"/restart", "")
	w.send(t, 202, "PATCH", "/compute/volumes/alice--shop--data", `{"spec":{"size":"6Gi"}}`)
	w.send(t, 202, "PATCH", "/compute/ephemerals/"+made.ID, `{"lifetimeMinutes":60}`)
	for _, path := range []string{
		"/compute/containers", "/compute/spaces", "/compute/spaces/alice--shop", "/compute/volumes", "/compute/volumes/alice--shop--data",
		"/compute/ssh-keys", "/compute/images", "/compute/presets", "/compute/sync", "/compute/operations", "/compute/operations?limit=2&user=alice",
		made.Location(), made.Location() + "?wait=ready&timeout=0s", id + "/ssh", id + "/ingress", id + "/history?limit=1", "/compute/ephemerals/" + made.ID,
		id + "/history?changes=true", id + "/objects", "/compute/limits?user=alice", "/compute/findings",
	} {
		w.send(t, 200, "GET", path, "")
	}
	insideContainer(t, w)
	confirmed(t, w)
	w.send(t, 202, "POST", id+"/rollback", `{"revision":"`+string(revisionOf(3))+`"}`)
	refused(t, w, id)
	w.send(t, 202, "POST", id+"/ingress", `{"port":443,"target_port":8080}`)
	w.send(t, 202, "DELETE", id+"/ingress/443?host=&path=", "")
	w.send(t, 202, "DELETE", "/compute/ephemerals/"+made.ID, "")
	w.send(t, 204, "DELETE", "/compute/ephemerals/"+made.ID, "")
	w.send(t, 202, "DELETE", id, "", "If-Match", "*")
	w.send(t, 202, "DELETE", "/compute/volumes/alice--shop--data", "")
	w.send(t, 202, "DELETE", "/compute/spaces/alice--shop", "")
	w.send(t, 204, "DELETE", "/compute/spaces/alice--shop", "")
	w.send(t, 202, "DELETE", "/compute/ssh-keys/laptop?user=alice", "")
	w.shelf.down = schema.Errorf(schema.Unavailable, "down")
	w.send(t, 503, "POST", "/compute/spaces", `{"name":"late","user":"alice"}`)
	for path, item := range w.doc.Paths.Map() {
		for method, op := range item.Operations() {
			streams := slices.Contains([]string{
				"/compute/ws", "/compute/events", "/compute/containers/{id}/exec", "/compute/containers/{id}/ports/{port}",
			}, path) && method == http.MethodGet
			if strings.HasPrefix(path, "/compute/") && !streams && !w.good[op.OperationID] {
				t.Errorf("%s %s hasn't been seen to work", method, path)
			}
			if strings.HasPrefix(path, "/compute/") && method != http.MethodGet && !w.bad[op.OperationID] {
				t.Errorf("%s %s hasn't been seen to refuse", method, path)
			}
		}
	}
}

// confirmed lets through what is halted.
func confirmed(t *testing.T, w *witness) {
	t.Helper()
	const route = "/compute/sync/confirm"
	w.send(t, 409, "POST", route, `{"revision":"`+string(testRevision)+`"}`)
	w.hub.halt("MassDelete", testRevision)
	w.send(t, 200, "GET", "/compute/sync", "")
	w.send(t, 403, "POST", route, `{"revision":"`+string(testRevision)+`"}`, userHeader, "alice")
	w.send(t, 202, "POST", route, `{"revision":"`+string(testRevision)+`"}`)
}

// insideContainer asks what leads into a container.
func insideContainer(t *testing.T, w *witness) {
	t.Helper()
	id := "/compute/containers/alice--web"
	w.send(t, 200, "POST", id+"/exec", `{"command":["sh","-c","cat; printf '\\377' >&2; exit 7"],"stdin":"aGk=","stdin_encoding":"base64","timeout":"10s"}`)
	w.send(t, 200, "POST", id+"/exec", `{"command":["sleep","9"],"timeout":"10ms"}`)
	w.send(t, 422, "POST", id+"/exec", `{"command":[]}`)
	w.send(t, 422, "POST", id+"/exec", `{"command":["ls"],"timeout":"11m"}`)
	w.send(t, 422, "POST", id+"/exec", `{"command":["no-such-program"]}`)
	w.send(t, 426, "GET", id+"/exec?command=ls", "")
	w.send(t, 426, "GET", id+"/ports/80", "")
	w.send(t, 200, "GET", id+"/logs?tail=1&timestamps=true", "")
	w.send(t, 404, "GET", id+"/logs?previous=true", "")
	w.send(t, 200, "GET", id+"/metrics", "")
	w.send(t, 200, "GET", id+"/events", "")
	w.send(t, 204, "POST", id+"/files/mkdir", `{"path":"/new/folder","mode":"0700"}`)
	w.send(t, 409, "POST", id+"/files/mkdir", `{"path":"/new/folder","parents":false}`)
	w.send(t, 204, "PUT", id+"/files?path=/new/b&mode=600", "\x00\xff", "Content-Type", typeBytes)
	w.send(t, 409, "PUT", id+"/files?path=/new/b", "x", "Content-Type", typeBytes, "If-None-Match", "*")
	w.send(t, 200, "GET", id+"/files?path=/new/b", "")
	w.send(t, 422, "GET", id+"/files?path=/new", "")
	w.send(t, 200, "GET", id+"/files/list?path=/new&limit=1", "")
	w.send(t, 200, "GET", id+"/files/stat?path=/new/b", "")
	w.send(t, 404, "GET", id+"/files/stat?path=/new/c", "")
	tar := w.send(t, 200, "GET", id+"/files/archive?path=/new", "").Body.String()
	w.send(t, 204, "PUT", id+"/files/archive?path=/data", tar, "Content-Type", typeTar)
	w.send(t, 404, "PUT", id+"/files/archive?path=/nope", tar, "Content-Type", typeTar)
	w.send(t, 204, "POST", id+"/files/move", `{"from":"/new/b","to":"/new/c"}`)
	w.send(t, 404, "POST", id+"/files/move", `{"from":"/new/b","to":"/new/c"}`)
	w.send(t, 204, "DELETE", id+"/files?path=/new&recursive=true", "")
	w.send(t, 204, "DELETE", id+"/files?path=/new", "")
	w.send(t, 422, "DELETE", id+"/files?path=/", "")
}

// refused are requests that must fail, one at least of each route that writes.
func refused(t *testing.T, w *witness, id string) {
	t.Helper()
	w.send(t, 422, "POST", "/compute/containers", `{"name":"x","user":"alice","spec":{"entrypoint":1}}`)
	w.send(t, 409, "POST", "/compute/containers", `{"name":"api","space":"shop","user":"alice","spec":{"image":"a"}}`)
	w.send(t, 403, "POST", "/compute/containers", `{"name":"x","user":"short","spec":{"image":"a"},"ttl":"9h"}`)
	w.send(t, 415, "PATCH", id, `image: x`, "Content-Type", "application/yaml")
	w.send(t, 413, "PATCH", id, `{"spec":{"image":"`+strings.Repeat("x", maxBody)+`"}}`)
	w.send(t, 412, "PATCH", id, `{"spec":{}}`, "If-Match", `"x"`)
	w.send(t, 412, "DELETE", id, "", "If-Match", `"x"`)
	w.send(t, 404, "POST", "/compute/containers/alice--nope/start", "")
	w.send(t, 404, "POST", "/compute/containers/alice--nope/stop", "")
	w.send(t, 404, "POST", "/compute/containers/alice--nope/restart", "")
	w.send(t, 404, "GET", "/compute/containers/alice--nope/history", "")
	w.send(t, 422, "POST", id+"/rollback", `{"revision":"x"}`)
	w.send(t, 422, "PUT", id+"/ssh", `{}`)
	w.send(t, 422, "POST", id+"/ingress", `{"port":0}`)
	w.send(t, 404, "DELETE", id+"/ingress/80", "")
	w.send(t, 409, "DELETE", "/compute/spaces/alice--shop", "")
	w.send(t, 404, "PATCH", "/compute/volumes/alice--shop--nope", `{"spec":{"size":"1Gi"}}`)
	w.send(t, 422, "PATCH", "/compute/volumes/alice--shop--data", `{"spec":{"size":"1Gi"}}`)
	w.send(t, 422, "POST", "/compute/volumes", `{"name":"X","space":"shop","user":"alice","spec":{}}`)
	w.send(t, 412, "DELETE", "/compute/volumes/alice--shop--data", "", "If-Match", `"x"`)
	w.send(t, 422, "POST", "/compute/ssh-keys", `{"name":"k","user":"alice","publicKey":"no"}`)
	w.send(t, 404, "DELETE", "/compute/ssh-keys/nope?user=alice", "")
	w.send(t, 422, "POST", "/compute/ephemerals", `{"preset":"nope","lifetimeMinutes":30,"user":"alice"}`)
	w.send(t, 404, "PATCH", "/compute/ephemerals/alice--web", `{"lifetimeMinutes":60}`)
	w.send(t, 404, "DELETE", "/compute/ephemerals/x", "")
	w.send(t, 422, "POST", "/compute/spaces", `{"name":"next","user":"alice"}`, "Idempotency-Key", "a")
}
