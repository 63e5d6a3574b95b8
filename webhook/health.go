package webhook

import (
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"

	"bayplan.dev/schema"
)

// Health is the answer of a server that is well.
type Health struct {
	Status string `json:"status" enum:"ok"`
}

// Index is the answer of the root: where to go from here.
type Index struct {
	Name    string            `json:"name"`
	Version string            `json:"version"`
	Links   map[string]string `json:"links"`
}

func (a *API) healthRoutes() {
	r := a.router.With(bounded)
	well := map[string]*huma.Response{"200": content("All is well.", "application/json", a.schemaOf(reflect.TypeFor[Health]()))}
	a.plain(r, huma.Operation{
		Method: http.MethodGet, Path: "/healthz", OperationID: "healthz", Tags: []string{"health"},
		Summary: "Ask whether the server is alive", Responses: well,
	}, func(w http.ResponseWriter, r *http.Request) { a.answer(w, r, http.StatusOK, Health{Status: "ok"}) })
	a.plain(r, huma.Operation{
		Method: http.MethodGet, Path: "/readyz", OperationID: "readyz", Tags: []string{"health"},
		Summary:     "Ask whether the server can serve",
		Description: "It can once it has read the repository and reached the cluster; else the problem says what is missing.",
		Responses:   well,
	}, a.serveReady)
	a.plain(r, huma.Operation{
		Method: http.MethodGet, Path: "/", OperationID: "index", Tags: []string{"health"}, Summary: "Find the way around",
		Description: "A browser, which asks for text/html, gets the console.",
		Responses:   map[string]*huma.Response{"200": content("Where to go.", "application/json", a.schemaOf(reflect.TypeFor[Index]()))},
	}, a.serveIndex)
	if a.opts.Schema != nil {
		a.plain(r, huma.Operation{
			Method: http.MethodGet, Path: "/schemas/v1/{kind}.json", OperationID: "get-schema", Tags: []string{"platform"},
			Summary:    "Read the JSON Schema of a kind of document, for editors",
			Parameters: []*huma.Param{{Name: "kind", In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}, Example: "container"}},
			Responses:  map[string]*huma.Response{"200": content("The schema.", "application/schema+json", &huma.Schema{Type: huma.TypeObject})},
		}, a.serveSchema)
	}
}

func (a *API) serveReady(w http.ResponseWriter, r *http.Request) {
	if a.opts.Fleet() == nil {
		a.refuse(w, r, schema.Errorf(schema.Unavailable, "the repository hasn't been read yet"))
		return
	}
	if a.opts.Ready != nil {
		if err := a.opts.Ready(); err != nil {
			a.refuse(w, r, schema.Errorf(schema.Unavailable, "not ready: %w", err))
			return
		}
	}
	a.answer(w, r, http.StatusOK, Health{Status: "ok"})
}

// serveIndex shows the console to browsers, and programs the way.
func (a *API) serveIndex(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Vary", "Accept")
	if a.opts.Console != nil && strings.Contains(r.Header.Get("Accept"), "text/html") {
		a.opts.Console.ServeHTTP(w, r)
		return
	}
	a.answer(w, r, http.StatusOK, Index{Name: "bayplan", Version: a.opts.Version, Links: map[string]string{
		"docs": "/docs", "openapi": "/openapi.json", "containers": "/compute/containers", "sync": "/compute/sync", "stream": streamSocketPath,
	}})
}

func (a *API) serveSchema(w http.ResponseWriter, r *http.Request) {
	body, err := a.opts.Schema(strings.ToLower(chi.URLParam(r, "kind")))
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/schema+json")
	// Editors fetch it from pages of their own.
	w.Header().Set("Access-Control-Allow-Origin", "*")
	if _, err := w.Write(body); err != nil {
		a.log.DebugContext(r.Context(), "answer not written", "path", r.URL.Path, "err", err)
	}
}
