package forge

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"bayplan.dev/schema"
)

// rest is a repository of GitHub, whose API Gitea's is modelled on; the word for
// a page's size is among what differs.
type rest struct {
	*caller
	repository, size string
}

func (r rest) repo() string { return "/repos/" + r.repository }

func (r rest) path() string { return r.repo() + "/pulls" }

type listedBranch struct {
	Ref      string          `json:"ref"`
	Revision schema.Revision `json:"sha"`
	Repo     *struct {
		ID int64 `json:"id"`
	} `json:"repo"`
}

// listedPull is a pull request in a list.
type listedPull struct {
	Number int64        `json:"number"`
	Title  string       `json:"title"`
	URL    string       `json:"html_url"`
	Draft  bool         `json:"draft"`
	User   account      `json:"user"`
	Head   listedBranch `json:"head"`
	Base   listedBranch `json:"base"`
}

// pullRequest is of a fork too when the repository it came from is gone.
func (l listedPull) pullRequest(branch string) PullRequest {
	p := PullRequest{
		Number: l.Number, Title: l.Title, Author: l.User.Login, URL: l.URL, Draft: l.Draft,
		Head: whole(l.Head.Revision), Base: whole(l.Base.Revision),
		Ref: "refs/pull/" + strconv.FormatInt(l.Number, 10) + "/head", Branch: l.Head.Ref,
		Fork: l.Head.Repo == nil || l.Base.Repo == nil || l.Head.Repo.ID != l.Base.Repo.ID,
	}
	if l.Base.Ref != branch {
		p.Head = ""
	}
	return p
}

// openBy lists a page of the pull requests that a query finds.
func (r rest) openBy(ctx context.Context, branch, found string, at paging) ([]PullRequest, error) {
	var list []listedPull
	err := r.list(ctx, r.path()+"?"+found+"&"+at.query(r.size), &list)
	pulls := make([]PullRequest, len(list))
	for i, l := range list {
		pulls[i] = l.pullRequest(branch)
	}
	return pulls, err
}

// status asks for the combined one, which holds the newest of each context.
func (r rest) status(ctx context.Context, commit schema.Revision, name string) (Status, bool, error) {
	var combined struct {
		Statuses []struct {
			Context string `json:"context"`
			// State is GitHub's word, Status Gitea's.
			State       StatusState `json:"state"`
			Status      StatusState `json:"status"`
			Description string      `json:"description"`
			URL         string      `json:"target_url"`
		} `json:"statuses"`
	}
	err := r.call(ctx, http.MethodGet, r.repo()+"/commits/"+string(commit)+"/status?"+r.size+"=100", nil, &combined)
	for _, s := range combined.Statuses {
		if s.Context == name && err == nil {
			return Status{Context: name, State: s.State + s.Status, Description: s.Description, URL: s.URL}, true, nil
		}
	}
	return Status{}, false, err
}

func (r rest) setStatus(ctx context.Context, commit schema.Revision, s Status) error {
	in := map[string]string{"state": string(s.State), "context": s.Context, "description": s.Description}
	if s.URL != "" {
		in["target_url"] = s.URL
	}
	return r.call(ctx, http.MethodPost, r.repo()+"/statuses/"+string(commit), in, nil)
}

func (rest) says(s Status) Status { return s }

func (r rest) comments(ctx context.Context, number int64, at paging) ([]comment, error) {
	var list []struct {
		ID   int64   `json:"id"`
		Body string  `json:"body"`
		User account `json:"user"`
	}
	err := r.list(ctx, r.issue(number)+"?"+at.query(r.size), &list)
	comments := make([]comment, len(list))
	for i, l := range list {
		comments[i] = comment{id: l.ID, author: l.User.ID, body: l.Body}
	}
	return comments, err
}

// issue is where the comments of a pull request are.
func (r rest) issue(number int64) string {
	return r.repo() + "/issues/" + strconv.FormatInt(number, 10) + "/comments"
}

func (r rest) addComment(ctx context.Context, number int64, body string) error {
	return r.call(ctx, http.MethodPost, r.issue(number), commentText{body}, nil)
}

func (r rest) editComment(ctx context.Context, _, id int64, body string) error {
	return r.call(ctx, http.MethodPatch, r.repo()+"/issues/comments/"+strconv.FormatInt(id, 10), commentText{body}, nil)
}

func (r rest) removeComment(ctx context.Context, _, id int64) error {
	return r.call(ctx, http.MethodDelete, r.repo()+"/issues/comments/"+strconv.FormatInt(id, 10), nil, nil)
}

// query is made of names and values in turn.
func query(pairs ...string) string {
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return values.Encode()
}
