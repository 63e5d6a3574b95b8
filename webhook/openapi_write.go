package webhook

import (
	"context"
	"maps"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/schema"
)

// ask adds a route that reads from somewhere else than the fleet.
func ask[I, O any](a *API, op huma.Operation, handler func(context.Context, *I) (*O, error)) {
	op.Method = http.MethodGet
	op.Responses = a.orProblem(op.Responses)
	huma.Register(a.api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handler(ctx, in)
		if err != nil {
			return nil, a.fail(ctx, err)
		}
		return out, nil
	})
	a.forgetErrorModel()
}

// example is a request body that is an example only; documentWrite says the rest.
func example(v any) *huma.RequestBody {
	return &huma.RequestBody{Content: map[string]*huma.MediaType{typeJSON: {Example: v}}}
}

// gone documents that there may have been nothing to delete.
func gone() map[string]*huma.Response {
	return map[string]*huma.Response{strconv.Itoa(http.StatusNoContent): {Description: "It doesn't exist, as it was to be."}}
}

// documentWrite completes what huma knows of a route whose body it doesn't read.
func documentWrite[B any](a *API, op huma.Operation, accepts []string, body *huma.RequestBody) {
	doc := operationAt(a.api.OpenAPI(), op.Method, op.Path)
	if t := reflect.TypeFor[B](); t != reflect.TypeFor[none]() {
		doc.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{}}
		for _, media := range accepts {
			doc.RequestBody.Content[media] = &huma.MediaType{Schema: a.schemaOf(t), Example: body.Content[typeJSON].Example}
		}
	}
	written := &huma.MediaType{Schema: a.schemaOf(reflect.TypeFor[Written]()), Example: exampleWritten(schema.OperationCommitted)}
	headers := doc.Responses[strconv.Itoa(http.StatusAccepted)].Headers
	// A dry run answers with something else, which no field of both is required of.
	ready := &huma.MediaType{
		Schema:  &huma.Schema{OneOf: []*huma.Schema{written.Schema, a.schemaOf(reflect.TypeFor[DryRun]())}},
		Example: exampleWritten(schema.OperationReady),
	}
	responses := map[string]*huma.Response{
		"202": {Description: "The commit is kept.", Content: map[string]*huma.MediaType{typeJSON: written}, Headers: headers},
		"200": {Description: "It is as far as wait asks for, or nothing had to change. With dry_run: what the change would do.", Content: map[string]*huma.MediaType{typeJSON: ready}, Headers: headers},
	}
	for status, text := range refusals(op) {
		responses[strconv.Itoa(status)] = a.problemResponse(text, status)
	}
	maps.Copy(responses, a.orProblem(op.Responses))
	doc.Responses = responses
}

// refusals are the errors of a write.
func refusals(op huma.Operation) map[int]string {
	all := map[int]string{
		http.StatusUnauthorized:        "No credentials, or bad ones.",
		http.StatusForbidden:           "A scope is missing, or a quota is used up.",
		http.StatusConflict:            "It exists already or is in use; or what was waited for can't become so.",
		http.StatusUnprocessableEntity: "The request or its result is wrong: every finding is listed and nothing was committed. Or the idempotency key was used for another request.",
		http.StatusTooManyRequests:     "Too fast.",
		http.StatusServiceUnavailable:  "The repository doesn't answer. With the code outcome_unknown the change may have been committed: repeat the request with the same idempotency key.",
	}
	if strings.Contains(op.Path, "{") {
		all[http.StatusNotFound] = "It doesn't exist, or isn't yours."
	}
	all[http.StatusPreconditionFailed] = "The file isn't the one that If-Match names any more."
	if op.Method != http.MethodDelete {
		all[http.StatusRequestEntityTooLarge] = "The body is too large."
		all[http.StatusUnsupportedMediaType] = "The body is of another type than the route takes."
	}
	return all
}

func (a *API) problemResponse(text string, status int) *huma.Response {
	r := content(text, problemType, a.schemaOf(reflect.TypeFor[Problem]()))
	if e := exampleProblem(status); e != nil {
		r.Content[problemType].Example = e
	}
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		r.Headers = map[string]*huma.Param{"Retry-After": {
			Description: "Seconds after which another try is worth it.", Schema: &huma.Schema{Type: huma.TypeInteger},
		}}
	}
	return r
}

func exampleWritten(state schema.OperationState) Written {
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	revision := schema.Revision("59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5")
	return Written{Commit: revision, Operation: schema.Operation{
		ID: "k3zq5v7n2m4x6c5b3d2f3g5h7j", State: state, Action: actionCreate, Kind: schema.KindContainer,
		Target: "alice--shop--api", User: "alice", Actor: "alice.console", Revision: revision, Created: at, Updated: at,
	}}
}

func exampleProblem(status int) *Problem {
	switch status {
	case http.StatusUnprocessableEntity:
		p := newProblem(status, string(schema.Invalid), "nothing has changed, since it would add an error")
		p.Errors = []Detail{{
			File: "users/alice/shop/api.yaml", Line: 14, Column: 15, Pointer: "/spec/resources/limits/memory",
			Message: `"512MB" is not a quantity`, Hint: "use 512Mi (binary) or 512M (decimal)",
		}}
		return p
	case http.StatusPreconditionFailed:
		return newProblem(status, codePrecondition, "the file has changed since; read it again and decide on what it says now")
	case http.StatusForbidden:
		return newProblem(status, codeQuotaExceeded, "nothing has changed, since it would add an error")
	case http.StatusServiceUnavailable:
		return newProblem(status, string(schema.Unavailable), "read the head: the repository doesn't answer")
	}
	return nil
}

func operationAt(doc *huma.OpenAPI, method, path string) *huma.Operation {
	item := doc.Paths[path]
	switch method {
	case http.MethodPost:
		return item.Post
	case http.MethodPut:
		return item.Put
	case http.MethodPatch:
		return item.Patch
	case http.MethodDelete:
		return item.Delete
	}
	return item.Get
}

// always are the errors that any route below /compute may answer with.
func always(path string) map[int]string {
	all := map[int]string{
		http.StatusUnauthorized:        "No credentials, or bad ones.",
		http.StatusForbidden:           "A scope is missing.",
		http.StatusUnprocessableEntity: "A parameter is wrong.",
		http.StatusTooManyRequests:     "Too fast.",
		http.StatusServiceUnavailable:  "The repository hasn't been read yet, or doesn't answer.",
	}
	if strings.Contains(path, "{") {
		all[http.StatusNotFound] = "It doesn't exist, or isn't yours."
	}
	return all
}

// secure documents who may ask for what lies below /compute.
func (a *API) secure() {
	doc := a.api.OpenAPI()
	if doc.Components.SecuritySchemes == nil {
		doc.Components.SecuritySchemes = map[string]*huma.SecurityScheme{}
	}
	doc.Components.SecuritySchemes["bearer"] = &huma.SecurityScheme{
		Type: "http", Scheme: "bearer", BearerFormat: "JWT",
		Description: "A token of POST /auth, or of an OIDC issuer that the operator lists.",
	}
	for path, item := range doc.Paths {
		if !strings.HasPrefix(path, "/compute/") {
			continue
		}
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op == nil {
				continue
			}
			if len(op.Security) == 0 {
				op.Security = []map[string][]string{{"bearer": {}}}
			}
			for status, text := range always(path) {
				if code := strconv.Itoa(status); op.Responses[code] == nil {
					op.Responses[code] = a.problemResponse(text, status)
				}
			}
		}
	}
}

// Schema says that the document's own schema judges it, with findings.
func (Spec) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeObject, AdditionalProperties: true,
		Description: "The spec as it stands in the document; /schemas/v1 has its JSON Schema. What is wrong with it comes back as findings.",
	}
}

// Schema says what a merge patch is.
func (Patch) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeObject, AdditionalProperties: true,
		Description: "An RFC 7396 merge patch of the spec: null removes a field, lists are replaced as a whole.",
	}
}
