package forge

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"bayplan.dev/schema"
)

// account is docs.gitlab.com/api/users; a project's token has a user of its own.
func (g gitlab) account(ctx context.Context) (account, error) {
	var me gitlabUser
	err := g.call(ctx, http.MethodGet, "/user", nil, &me)
	return account{ID: me.ID, Login: me.Name}, err
}

type gitlabUser struct {
	ID   int64  `json:"id"`
	Name string `json:"username"`
}

type gitlabOpen struct {
	Number int64           `json:"iid"`
	Title  string          `json:"title"`
	URL    string          `json:"web_url"`
	Author gitlabUser      `json:"author"`
	Draft  bool            `json:"draft"`
	Head   schema.Revision `json:"sha"`
	Branch string          `json:"source_branch"`
	Into   string          `json:"target_branch"`
	Source int64           `json:"source_project_id"`
	Target int64           `json:"target_project_id"`
}

func (g gitlab) open(ctx context.Context, branch string, at paging) ([]PullRequest, error) {
	var list []gitlabOpen
	err := g.list(ctx, g.path()+"?"+query("state", "opened", "target_branch", branch, "order_by", "created_at", "sort", "desc")+"&"+at.query("per_page"), &list)
	found := make([]PullRequest, len(list))
	for i, m := range list {
		found[i] = PullRequest{
			Number: m.Number, Title: m.Title, Author: m.Author.Name, URL: m.URL, Draft: m.Draft, Head: whole(m.Head),
			Ref: mergeRef(m.Number), Branch: m.Branch, Fork: m.Source != m.Target,
		}
		if m.Into != branch {
			found[i].Head = ""
		}
	}
	return found, err
}

func mergeRef(number int64) string {
	return "refs/merge-requests/" + strconv.FormatInt(number, 10) + "/head"
}

func (g gitlab) repo() string { return "/projects/" + url.PathEscape(g.project) }

type gitlabStatus struct {
	ID          int64  `json:"id"`
	Name        string `json:"name"`
	State       string `json:"status"`
	Description string `json:"description"`
	URL         string `json:"target_url"`
}

// status is docs.gitlab.com/api/commits. A commit in several pipelines may have
// several; the newest counts.
func (g gitlab) status(ctx context.Context, commit schema.Revision, name string) (Status, bool, error) {
	var list []gitlabStatus
	if err := g.call(ctx, http.MethodGet, g.repo()+"/repository/commits/"+string(commit)+"/statuses?"+query("name", name, "per_page", "100"), nil, &list); err != nil {
		return Status{}, false, err
	}
	var newest gitlabStatus
	for _, s := range list {
		if s.Name == name && s.ID > newest.ID {
			newest = s
		}
	}
	s := Status{Context: newest.Name, Description: newest.Description, URL: newest.URL}
	switch newest.State {
	case "pending", "running", "created":
		s.State = StatePending
	case "success":
		s.State = StateSuccess
	default: // failed, canceled or skipped
		s.State = StateFailure
	}
	return s, newest.ID != 0, nil
}

// says knows one kind of failure.
func (gitlab) says(s Status) Status {
	if s.State == StateError {
		s.State = StateFailure
	}
	return s
}

// setStatus makes the status a job of a pipeline, which belongs to a branch. A
// fork's commit is on none of the project's; then the ref of its merge request
// stands for one.
func (g gitlab) setStatus(ctx context.Context, commit schema.Revision, s Status) error {
	in := map[string]string{"name": s.Context, "state": string(s.State), "description": s.Description}
	if s.State == StateFailure || s.State == StateError {
		in["state"] = "failed"
	}
	if s.URL != "" {
		in["target_url"] = s.URL
	}
	post := func() error {
		return g.call(ctx, http.MethodPost, g.repo()+"/statuses/"+string(commit), in, nil)
	}
	err := post()
	if schema.CodeOf(err) == schema.NotFound && strings.Contains(err.Error(), "References for commit") {
		ref, ok, lost := g.refOf(ctx, commit)
		switch {
		case lost != nil:
			return lost
		case ok:
			in["ref"] = ref
			err = post()
		}
	}
	// A job that waits can't be made to wait, though its text may differ:
	// gitlab.com/gitlab-org/gitlab-foss/-/issues/25807.
	if schema.CodeOf(err) == schema.Invalid && s.State == StatePending && strings.Contains(err.Error(), "Cannot transition status") {
		return nil
	}
	return err
}

// refOf finds the open merge request whose head the commit is.
func (g gitlab) refOf(ctx context.Context, commit schema.Revision) (string, bool, error) {
	var list []struct {
		Number int64           `json:"iid"`
		Head   schema.Revision `json:"sha"`
	}
	if err := g.list(ctx, g.repo()+"/repository/commits/"+string(commit)+"/merge_requests?state=opened&per_page=100", &list); err != nil {
		return "", false, err
	}
	for _, m := range list {
		if m.Head == commit {
			return mergeRef(m.Number), true, nil
		}
	}
	return "", false, nil
}

func (g gitlab) notes(number int64) string {
	return g.path() + "/" + strconv.FormatInt(number, 10) + "/notes"
}

// comments are docs.gitlab.com/api/notes; those that GitLab writes itself are in
// the name of whoever caused them.
func (g gitlab) comments(ctx context.Context, number int64, at paging) ([]comment, error) {
	var list []struct {
		ID     int64      `json:"id"`
		Body   string     `json:"body"`
		Author gitlabUser `json:"author"`
		System bool       `json:"system"`
	}
	err := g.list(ctx, g.notes(number)+"?"+query("order_by", "created_at", "sort", "asc")+"&"+at.query("per_page"), &list)
	comments := make([]comment, len(list))
	for i, l := range list {
		comments[i] = comment{id: l.ID, author: l.Author.ID, body: l.Body}
		if l.System {
			comments[i].author = 0
		}
	}
	return comments, err
}

func (g gitlab) addComment(ctx context.Context, number int64, body string) error {
	return g.call(ctx, http.MethodPost, g.notes(number), commentText{body}, nil)
}

func (g gitlab) editComment(ctx context.Context, number, id int64, body string) error {
	return g.call(ctx, http.MethodPut, g.notes(number)+"/"+strconv.FormatInt(id, 10), commentText{body}, nil)
}

func (g gitlab) removeComment(ctx context.Context, number, id int64) error {
	return g.call(ctx, http.MethodDelete, g.notes(number)+"/"+strconv.FormatInt(id, 10), nil, nil)
}
