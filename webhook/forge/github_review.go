package forge

import (
	"context"
	"net/http"
	"strings"

	"bayplan.dev/schema"
)

// account asks as docs.github.com/rest/users/users has it. An App's token may
// not ask that; GraphQL answers it, which GitHub Enterprise has beside v3.
func (g github) account(ctx context.Context) (account, error) {
	var me account
	err := g.call(ctx, http.MethodGet, "/user", nil, &me)
	if schema.CodeOf(err) != schema.Forbidden {
		return me, err
	}
	var answer struct {
		Data struct {
			Viewer struct {
				ID    int64  `json:"databaseId"`
				Login string `json:"login"`
			} `json:"viewer"`
		} `json:"data"`
	}
	err = g.send(ctx, request{
		method: http.MethodPost, url: strings.TrimSuffix(g.base.String(), "/v3") + "/graphql",
		in: map[string]string{"query": "query{viewer{login databaseId}}"}, out: &answer, most: maxAnswer,
	})
	return account{ID: answer.Data.Viewer.ID, Login: answer.Data.Viewer.Login}, err
}

func (g github) open(ctx context.Context, branch string, at paging) ([]PullRequest, error) {
	return g.openBy(ctx, branch, query("state", "open", "base", branch, "sort", "created", "direction", "desc"), at)
}
