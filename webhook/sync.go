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

// syncRoutes answers before the first load, too: that is when people ask.
func (a *API) syncRoutes() {
	huma.Register(a.api, huma.Operation{
		Method: http.MethodGet, Path: "/compute/sync", OperationID: "get-sync",
		Summary: "Read how far the cluster follows the repository", Tags: []string{"sync"}, Responses: a.orProblem(nil),
	}, func(ctx context.Context, _ *struct{}) (*syncOutput, error) {
		c, _ := auth.CallerOf(ctx)
		return &syncOutput{Body: visibleSync(c, a.opts.Hub.Sync())}, nil
	})
	a.forgetErrorModel()
}
