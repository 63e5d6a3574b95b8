package webhook

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
)

type syncOutput struct {
	Body schema.SyncStatus
}

// Confirmation lets through what a sync holds back.
type Confirmation struct {
	Revision schema.Revision `json:"revision" doc:"The word that the halted sync gives as confirm." example:"59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5"`
}

type confirmation struct {
	Body Confirmation
}

// syncRoutes answers before the first load, too: that is when people ask.
func (a *API) syncRoutes() {
	huma.Register(a.api, huma.Operation{
		Method: http.MethodGet, Path: "/compute/sync", OperationID: "get-sync",
		Summary: "Read how far the cluster follows the repository", Tags: []string{"sync"}, Responses: a.orProblem(nil),
	}, func(ctx context.Context, _ *struct{}) (*syncOutput, error) {
		c, _ := auth.CallerOf(ctx)
		return &syncOutput{Body: visibleSync(c, a.opts.Hub.Sync())}, nil
	})
	if a.opts.Confirm != nil {
		huma.Register(a.api, huma.Operation{
			Method: http.MethodPost, Path: "/compute/sync/confirm", OperationID: "confirm-sync", DefaultStatus: http.StatusAccepted,
			Summary: "Let through what a halted sync holds back, as an operator", Tags: []string{"sync"},
			Description: "Only what stood before the operator is confirmed: the word is that of this halt. The sync says when it goes on.",
			Responses:   a.orProblem(map[string]*huma.Response{"409": a.problemResponse("Nothing is halted by this word, or not any more.", http.StatusConflict)}),
		}, a.confirmSync)
	}
	a.forgetErrorModel()
}

// confirmSync takes the word of the halt that its caller has seen, so that
// nobody lets something through that has grown since.
func (a *API) confirmSync(ctx context.Context, in *confirmation) (*confirmation, error) {
	c, _ := auth.CallerOf(ctx)
	now := a.opts.Hub.Sync()
	switch {
	case !seesAll(c):
		return nil, a.fail(ctx, schema.Errorf(schema.Forbidden, "only an admin lets through what is halted"))
	case now.Confirm == "":
		return nil, a.fail(ctx, schema.Errorf(schema.Conflict, "nothing is halted: the sync is %s", now.State))
	case in.Body.Revision != now.Confirm:
		return nil, a.fail(ctx, schema.Errorf(schema.Conflict, "what is halted now isn't confirmed by %.40q; look at the sync again", in.Body.Revision))
	}
	if err := a.opts.Confirm(ctx, in.Body.Revision); err != nil {
		return nil, a.fail(ctx, err)
	}
	a.log.InfoContext(ctx, "halt confirmed", "actor", c.Actor, "reason", now.Reason, "revision", in.Body.Revision, "request", requestIDOf(ctx))
	return in, nil
}
