package webhook

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page
	"encoding/base64"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/schema"
)

var (
	//go:embed docs.html
	docsHTML string
	//go:embed docs.css
	docsCSS string
)

// docsPage is what the template shows.
type docsPage struct {
	Info    *huma.Info
	CSS     template.CSS
	Tags    []docsTag
	Schemas map[string]*huma.Schema
	Codes   []docsCode
}

type docsTag struct {
	Name       string
	Operations []*huma.Operation
}

type docsCode struct {
	Code   string
	Status int
	Text   string
}

// docsCodes explains each code of a problem; its type leads here.
var docsCodes = []docsCode{ //nolint:gochecknoglobals // a table
	{string(schema.Invalid), statusOf(schema.Invalid), "The request, or a document in it, is wrong. Trying again can't help; errors says what to change."},
	{string(schema.NotFound), statusOf(schema.NotFound), "It does not exist, or isn't yours."},
	{string(schema.Conflict), statusOf(schema.Conflict), "Somebody else got there first, or it isn't in the state that this needs."},
	{string(schema.Forbidden), statusOf(schema.Forbidden), "The right, or the signature, is missing."},
	{codeUnauthenticated, http.StatusUnauthorized, "The credentials are missing, wrong, or have ended."},
	{codeQuotaExceeded, statusOf(schema.Exceeded), "The platform's limit for you is used up."},
	{string(schema.Unavailable), statusOf(schema.Unavailable), "Not now. Try again after Retry-After seconds."},
	{string(schema.Internal), statusOf(schema.Internal), "A defect. The server's log says more under X-Request-Id."},
	{codeTooFast, http.StatusTooManyRequests, "Too many requests. Try again after Retry-After seconds."},
	{codeTooLarge, http.StatusRequestEntityTooLarge, "The body is too large."},
	{codeNoSuchMethod, http.StatusMethodNotAllowed, "The path knows other methods; Allow lists them."},
	{codePrecondition, http.StatusPreconditionFailed, "The file isn't the one that If-Match names any more, or it exists though it must not. Read it again."},
	{codeKeyReused, http.StatusUnprocessableEntity, "The idempotency key was used for another request. Draw a new key for each request."},
	{codeUnknown, http.StatusServiceUnavailable, "The change may have been committed. Repeat the request with the Idempotency-Key of the answer: it tells, and commits once."},
	{codeFailed, http.StatusConflict, "The commit is kept, but what was waited for can't become so by waiting. operation says why."},
	{codeMediaType, http.StatusUnsupportedMediaType, "The body is of another type than the path takes."},
	{codeUpgrade, http.StatusUpgradeRequired, "The path is a WebSocket."},
}

// docsRoutes serves a page made of the OpenAPI document alone: it loads nothing
// from anywhere and runs no script, so it works behind any wall.
func (a *API) docsRoutes() {
	page := sync.OnceValues(a.renderDocs)
	style := sha256.Sum256([]byte(docsCSS))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(style[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	a.router.With(bounded).Get("/docs", func(w http.ResponseWriter, r *http.Request) {
		body, err := page()
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", policy)
		if _, err := w.Write(body); err != nil {
			a.log.DebugContext(r.Context(), "answer not written", "path", r.URL.Path, "err", err)
		}
	})
}

func (a *API) renderDocs() ([]byte, error) {
	t, err := template.New("docs").Funcs(template.FuncMap{"typeName": typeName, "required": slices.Contains[[]string]}).Parse(docsHTML)
	if err != nil {
		return nil, schema.Errorf(schema.Internal, "parse the page of the documentation: %w", err)
	}
	doc := a.api.OpenAPI()
	var b bytes.Buffer
	err = t.Execute(&b, docsPage{
		Info: doc.Info, CSS: template.CSS(docsCSS), Tags: tagged(doc), //nolint:gosec // our own file
		Schemas: doc.Components.Schemas.Map(), Codes: docsCodes,
	})
	if err != nil {
		return nil, schema.Errorf(schema.Internal, "render the page of the documentation: %w", err)
	}
	return b.Bytes(), nil
}

// tagged groups the operations by their first tag.
func tagged(doc *huma.OpenAPI) []docsTag {
	groups := map[string][]*huma.Operation{}
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		item := doc.Paths[path]
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op != nil {
				groups[op.Tags[0]] = append(groups[op.Tags[0]], op)
			}
		}
	}
	var tags []docsTag
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		tags = append(tags, docsTag{name, groups[name]})
	}
	return tags
}

// typeName is a schema in one line: "string", "[]Container", "map[string]".
func typeName(s *huma.Schema) string {
	switch {
	case s == nil:
		return ""
	case s.Ref != "":
		return s.Ref[strings.LastIndex(s.Ref, "/")+1:]
	case s.Type == huma.TypeArray:
		return "[]" + typeName(s.Items)
	case len(s.OneOf) > 0:
		names := make([]string, len(s.OneOf))
		for i, one := range s.OneOf {
			names[i] = typeName(one)
		}
		return strings.Join(names, " or ")
	case s.Type == "":
		return "any"
	}
	if values, ok := s.AdditionalProperties.(*huma.Schema); ok {
		return "map of " + typeName(values)
	}
	return s.Type
}
