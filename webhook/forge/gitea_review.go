package forge

import (
	"context"
	"net/http"

	"bayplan.dev/schema"
)

func (g gitea) account(ctx context.Context) (account, error) {
	var me account
	err := g.call(ctx, http.MethodGet, "/user", nil, &me)
	if schema.CodeOf(err) == schema.Forbidden {
		err = schema.Errorf(schema.Forbidden, "%w (the token needs read:user, so that it knows its own comments)", err)
	}
	return me, err
}

// open asks for those of a branch, which some versions don't understand: they
// list all.
func (g gitea) open(ctx context.Context, branch string, at paging) ([]PullRequest, error) {
	return g.openBy(ctx, branch, query("state", "open", "base_branch", branch), at)
}
