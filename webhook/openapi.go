package webhook

import (
	"context"
	"maps"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"

	"bayplan.dev/schema"
)

// newOpenAPI returns the document that routes are added to, served at
// /openapi.json and /openapi.yaml: for each of two routers.
func newOpenAPI(ordinary, wide chi.Router, version string) (huma.API, huma.API) {
	config := huma.DefaultConfig("Bayplan", version)
	config.Info.Description = "A container cloud whose desired state is a Git repository. " +
		"Reads answer from memory: what the repository says, and what became of it in the cluster."
	// The built-in page would load scripts from elsewhere; docs.go has our own.
	config.DocsPath = ""
	config.SchemasPath = ""
	config.CreateHooks = nil
	config.Transformers = []huma.Transformer{retell}
	api := humachi.New(ordinary, config)
	describe(api.OpenAPI().Components.Schemas)
	config.OpenAPIPath = ""
	return api, humachi.New(wide, config)
}

// read adds a route that answers from the fleet: 503 as long as there is none.
// What the caller doesn't see must not exist for the handler.
func read[I, O any](a *API, op huma.Operation, handler func(context.Context, *schema.Fleet, *I) (*O, error)) {
	op.Method = http.MethodGet
	op.Responses = a.orProblem(op.Responses)
	huma.Register(a.api, op, func(ctx context.Context, in *I) (*O, error) {
		fleet := a.opts.Fleet()
		if fleet == nil {
			return nil, a.fail(ctx, schema.Errorf(schema.Unavailable, "the repository hasn't been read yet"))
		}
		out, err := handler(ctx, fleet, in)
		if err != nil {
			return nil, a.fail(ctx, err)
		}
		return out, nil
	})
	a.forgetErrorModel()
}

// plain adds a route that speaks HTTP itself, and documents it.
func (a *API) plain(r chi.Router, op huma.Operation, handler http.HandlerFunc) {
	op.Responses = a.orProblem(op.Responses)
	a.api.OpenAPI().AddOperation(&op)
	r.MethodFunc(op.Method, op.Path, handler)
}

// orProblem documents that whatever isn't as asked for is a Problem.
func (a *API) orProblem(responses map[string]*huma.Response) map[string]*huma.Response {
	all := map[string]*huma.Response{
		"default": content("Anything that isn't as asked for.", problemType, a.schemaOf(reflect.TypeFor[Problem]())),
	}
	maps.Copy(all, responses)
	return all
}

func (a *API) schemaOf(t reflect.Type) *huma.Schema {
	return a.api.OpenAPI().Components.Schemas.Schema(t, true, t.Name())
}

// forgetErrorModel takes huma's own model of errors out of the document: Register
// puts it there, but retell lets none of it out.
func (a *API) forgetErrorModel() {
	schemas := a.api.OpenAPI().Components.Schemas.Map()
	delete(schemas, "ErrorModel")
	delete(schemas, "ErrorDetail")
}

// content is a response with a body of one media type.
func content(description, mediaType string, s *huma.Schema) *huma.Response {
	return &huma.Response{Description: description, Content: map[string]*huma.MediaType{mediaType: {Schema: s}}}
}
