package forge

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"bayplan.dev/schema"
)

// github is docs.github.com/rest/pulls/pulls.
type github struct {
	rest
	owner, branch string
}

func githubHeader(h http.Header, token string) {
	h.Set("Accept", "application/vnd.github+json")
	h.Set("X-GitHub-Api-Version", "2022-11-28")
	h.Set("Authorization", "Bearer "+token)
}

type githubPull struct {
	Number int    `json:"number"`
	URL    string `json:"html_url"`
	// State is open or closed, the latter with a time of the merge if it was merged.
	State    string          `json:"state"`
	MergedAt *string         `json:"merged_at"`
	Commit   schema.Revision `json:"merge_commit_sha"`
}

func (p githubPull) pull() pull {
	found := pull{number: p.Number, url: p.URL, merged: p.MergedAt != nil, closed: p.State == "closed"}
	if found.merged { // of an open one it is a commit that only tries the merge
		found.revision = p.Commit
	}
	return found
}

func (g github) find(ctx context.Context, branch string) (pull, bool, error) {
	query := url.Values{"state": {"all"}, "head": {g.owner + ":" + branch}, "base": {g.branch}, "per_page": {"1"}}
	var list []githubPull
	if err := g.call(ctx, http.MethodGet, g.path()+"?"+query.Encode(), nil, &list); err != nil || len(list) == 0 {
		return pull{}, false, err
	}
	return list[0].pull(), true, nil
}

func (g github) create(ctx context.Context, branch, title, body string) (pull, error) {
	in := map[string]string{"title": title, "body": body, "head": branch, "base": g.branch}
	var made githubPull
	err := g.call(ctx, http.MethodPost, g.path(), in, &made)
	return made.pull(), err
}

func (g github) commits(ctx context.Context, p pull) ([]schema.Commit, error) {
	var list []listedCommit
	err := g.call(ctx, http.MethodGet, g.path()+"/"+strconv.Itoa(p.number)+"/commits?per_page="+maxCommits, nil, &list)
	return commitsOf(list), err
}
