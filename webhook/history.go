package webhook

import (
	"context"
	"encoding/base64"
	"net/http"
	"regexp"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/mutation"
)

// HistoryEntry is one commit that touched a container's file.
type HistoryEntry struct {
	Revision  schema.Revision `json:"revision"`
	Author    string          `json:"author"`
	Time      time.Time       `json:"time"`
	Subject   string          `json:"subject"`
	Action    string          `json:"action,omitempty" doc:"What a call did; absent for a push."`
	Operation string          `json:"operation,omitempty" doc:"The id of the call's operation."`
	// Change is there where it was asked for and is known.
	Change *HistoryChange `json:"change,omitempty" doc:"With changes: what it changed of the container; absent where the file couldn't be read then."`
}

// HistoryChange is what a commit changed of a container.
type HistoryChange struct {
	Action schema.Action `json:"action" enum:"create,change,delete"`
	Fields []FieldChange `json:"fields" nullable:"false" doc:"As the file says it, without defaults; empty for a deletion, and where only comments or other documents of the file changed."`
	More   int           `json:"more,omitempty" doc:"How many more fields differ."`
}

var revisionPattern = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

type historyInput struct {
	Page
	ID      string `path:"id" example:"alice--web"`
	Changes bool   `query:"changes" doc:"Say what each commit changed; a page then holds 50 at most."`
}

// Rollback says to which revision's spec a container goes back.
type Rollback struct {
	Revision string `json:"revision" doc:"A revision of its history, in full." example:"59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5"`
}

func (a *API) historyRoutes() {
	ask(a, huma.Operation{
		Path: "/compute/containers/{id}/history", OperationID: "list-container-history",
		Summary: "List the commits that touched a container's file", Tags: []string{"containers"},
	}, a.listHistory)
	write(a, huma.Operation{
		Method: http.MethodPost, Path: "/compute/containers/{id}/rollback", OperationID: "roll-back-container",
		Summary: "Give a container the spec that it had at a revision", Tags: []string{"containers"},
		RequestBody: example(Rollback{Revision: "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5"}),
	}, a.rollback)
}

// listHistory answers for a container that is gone, too, as long as it has a
// history: that is how one comes back.
func (a *API) listHistory(ctx context.Context, in *historyInput) (*listOutput[HistoryEntry], error) {
	target, err := a.containerTarget(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if in.Changes && a.opts.Fields != nil {
		return a.changesPage(ctx, target, in.Page)
	}
	out, err := historyPage(ctx, a, a.filesOf(target), in.Page, func(c Commit) (HistoryEntry, bool) { return viewCommit(c), true })
	if err == nil && len(out.Body.Items) == 0 && in.Continue == "" && out.Body.Metadata.Continue == "" {
		return nil, target.Missing()
	}
	return out, err
}

func viewCommit(c Commit) HistoryEntry {
	return HistoryEntry{
		Revision: c.Revision, Author: nameOf(c.Author), Time: c.Time.UTC(), Subject: c.Subject,
		Action: first(c.Trailers, trailerAction), Operation: c.Operation,
	}
}

// filesOf are where the document is and where the API would write it.
func (a *API) filesOf(target mutation.Target) []string {
	files := []string{target.Path()}
	fleet := a.opts.Fleet()
	if fleet == nil {
		return files
	}
	id := schema.ContainerID{Space: target.SpaceID(), Name: target.Name}
	if c := fleet.Container(id); c != nil && c.Source.File != files[0] {
		files = append(files, c.Source.File)
	}
	return files
}

func (a *API) rollback(ctx context.Context, in *struct {
	Writing
	Matching
	ID string `path:"id" example:"alice--web"`
}, body *Rollback,
) (*intent, error) {
	target, err := a.containerTarget(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if !revisionPattern.MatchString(body.Revision) {
		return nil, invalidAt("/revision", schema.Errorf(schema.Invalid, "%.70q is no full revision; the container's history lists them", body.Revision))
	}
	then, err := a.opts.Committer.At(ctx, schema.Revision(body.Revision))
	if schema.CodeOf(err) == schema.NotFound {
		return nil, invalidAt("/revision", schema.Errorf(schema.Invalid, "%s is no revision of the branch", body.Revision))
	}
	if err != nil {
		return nil, err
	}
	return &intent{target: target, action: actionRollback, edit: mutation.Rollback(target, then, a.now(), in.expect())}, nil
}

func newList[T any](a *API) *listOutput[T] {
	out := &listOutput[T]{Body: List[T]{Items: []T{}}}
	if fleet := a.opts.Fleet(); fleet != nil {
		out.Body.Metadata.Revision = fleet.Revision
	}
	return out
}

// historyPage lists what the commits of some files tell. The token is the
// revision to go on behind.
func historyPage[T any](ctx context.Context, a *API, paths []string, p Page, view func(Commit) (T, bool)) (*listOutput[T], error) {
	commits, next, err := a.commits(ctx, HistoryQuery{Paths: paths, Limit: p.Limit}, p.Continue)
	if err != nil {
		return nil, err
	}
	out := newList[T](a)
	for _, c := range commits {
		if item, ok := view(c); ok {
			out.Body.Items = append(out.Body.Items, item)
		}
	}
	out.Body.Metadata.Continue = base64.RawURLEncoding.EncodeToString([]byte(next))
	return out, nil
}

// commits asks for a page that begins behind the token of the one before.
func (a *API) commits(ctx context.Context, query HistoryQuery, token string) ([]Commit, schema.Revision, error) {
	after, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || (token != "" && !revisionPattern.Match(after)) {
		return nil, "", schema.Errorf(schema.Invalid, "query.continue: %q is not a token of an earlier page", token)
	}
	query.After = schema.Revision(after)
	commits, next, err := a.opts.Committer.History(ctx, query)
	if token != "" && schema.CodeOf(err) == schema.NotFound {
		err = schema.Errorf(schema.Invalid, "query.continue: the history isn't the one of the earlier page any more; begin anew")
	}
	return commits, next, err
}
