package forge

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"bayplan.dev/schema"
)

// gitlab is docs.gitlab.com/api/merge_requests.
type gitlab struct {
	*caller
	project, branch string
}

func gitlabHeader(h http.Header, token string) {
	h.Set("Accept", "application/json")
	h.Set("PRIVATE-TOKEN", token)
}

type gitlabMerge struct {
	Number int    `json:"iid"`
	URL    string `json:"web_url"`
	// State is opened, closed, locked (while it is being merged) or merged.
	State  string          `json:"state"`
	Merge  schema.Revision `json:"merge_commit_sha"`
	Squash schema.Revision `json:"squash_commit_sha"`
	Head   schema.Revision `json:"sha"`
}

// pull tells which commit came onto the branch. A fast-forward makes no merge
// commit: then it is the squashed one or the branch's own.
func (m gitlabMerge) pull() pull {
	found := pull{number: m.Number, url: m.URL, merged: m.State == "merged", closed: m.State == "closed"}
	if found.merged {
		found.revision = cmp.Or(m.Merge, m.Squash, m.Head)
	}
	return found
}

func (g gitlab) path() string {
	return "/projects/" + url.PathEscape(g.project) + "/merge_requests"
}

func (g gitlab) find(ctx context.Context, branch string) (pull, bool, error) {
	query := url.Values{"state": {"all"}, "source_branch": {branch}, "target_branch": {g.branch}, "per_page": {"1"}}
	var list []gitlabMerge
	if err := g.call(ctx, http.MethodGet, g.path()+"?"+query.Encode(), nil, &list); err != nil || len(list) == 0 {
		return pull{}, false, err
	}
	return list[0].pull(), true, nil
}

func (g gitlab) create(ctx context.Context, branch, title, body string) (pull, error) {
	in := map[string]any{"source_branch": branch, "target_branch": g.branch, "title": title, "description": body, "remove_source_branch": true}
	var made gitlabMerge
	err := g.call(ctx, http.MethodPost, g.path(), in, &made)
	return made.pull(), err
}

type gitlabCommit struct {
	Revision schema.Revision `json:"id"`
	Message  string          `json:"message"`
	Name     string          `json:"author_name"`
	Email    string          `json:"author_email"`
	Date     time.Time       `json:"committed_date"`
}

func (g gitlab) commits(ctx context.Context, p pull) ([]schema.Commit, error) {
	var list []gitlabCommit
	err := g.call(ctx, http.MethodGet, g.path()+"/"+strconv.Itoa(p.number)+"/commits?per_page="+maxCommits, nil, &list)
	commits := make([]schema.Commit, len(list))
	for i, l := range list {
		commits[i] = commitOf(l.Revision, l.Message)
		commits[i].Author, commits[i].Time = signature{Name: l.Name, Email: l.Email}.String(), l.Date.UTC()
	}
	return commits, err
}
