package forge

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"bayplan.dev/schema"
)

// gitea is docs.gitea.com/api, "repository", and Forgejo's.
type gitea struct {
	rest
	branch string
}

func giteaHeader(h http.Header, token string) {
	h.Set("Accept", "application/json")
	h.Set("Authorization", "token "+token)
}

type giteaPull struct {
	Number int             `json:"number"`
	URL    string          `json:"html_url"`
	State  string          `json:"state"`
	Merged bool            `json:"merged"`
	Commit schema.Revision `json:"merge_commit_sha"`
}

func (p giteaPull) pull() pull {
	found := pull{number: p.Number, url: p.URL, merged: p.Merged, closed: p.State == "closed"}
	if p.Merged {
		found.revision = p.Commit
	}
	return found
}

// find asks for the pull request by its branches; the second may have slashes.
func (g gitea) find(ctx context.Context, branch string) (pull, bool, error) {
	parts := strings.Split(branch, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	var found giteaPull
	err := g.call(ctx, http.MethodGet, g.path()+"/"+url.PathEscape(g.branch)+"/"+strings.Join(parts, "/"), nil, &found)
	if schema.CodeOf(err) == schema.NotFound {
		return pull{}, false, nil // or no repository, which create will say
	}
	return found.pull(), err == nil, err
}

func (g gitea) create(ctx context.Context, branch, title, body string) (pull, error) {
	in := map[string]string{"title": title, "body": body, "head": branch, "base": g.branch}
	var made giteaPull
	err := g.call(ctx, http.MethodPost, g.path(), in, &made)
	return made.pull(), err
}

func (g gitea) commits(ctx context.Context, p pull) ([]schema.Commit, error) {
	var list []listedCommit
	err := g.call(ctx, http.MethodGet, g.path()+"/"+strconv.Itoa(p.number)+"/commits?files=false&verification=false&limit="+maxCommits, nil, &list)
	return commitsOf(list), err
}
