// Package forge speaks with a Git forge: GitHub's REST API 2022-11-28, GitLab's
// v4, and Gitea's v1, which is Forgejo's too.
//
// It opens pull requests and tells what became of them (Open, State, Change): a
// branch has one at most, so a branch names it. For reviews it lists those that
// are open against a branch (PullRequests) and writes what a review found: the
// status of a commit (SetStatus), lines of its files (Annotate), and one comment
// (Comment). Writing is idempotent: what the forge says already isn't said again.
//
// Whoever reviews needs a token that may write statuses and comments: GitHub's
// fine-grained "Commit statuses" and "Pull requests", and "Checks" for an App
// that annotates; GitLab's "api" with the role Developer; Gitea's
// "write:repository", "write:issue" and "read:user".
package forge

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"bayplan.dev/schema"
)

// Kind says which API a forge has.
type Kind string

// The kinds of forges. Forgejo is Gitea here.
const (
	GitHub Kind = "github"
	GitLab Kind = "gitlab"
	Gitea  Kind = "gitea"
)

// Options say where pull requests are opened.
type Options struct {
	Kind Kind
	// URL is the API's: https://api.github.com or https://host/api/v3,
	// https://host/api/v4, https://host/api/v1. Plain http is for loopback
	// addresses only.
	URL string
	// Repository is owner/name; GitLab's may have more parts.
	Repository string
	// Branch is where pull requests are to be merged.
	Branch string
	// TokenFile holds the token; it is read before each request.
	TokenFile string
	// Timeout bounds one request; 10 seconds when 0.
	Timeout time.Duration
	// Transport is http.DefaultTransport when nil.
	Transport http.RoundTripper
	// Log is slog.Default() when nil.
	Log *slog.Logger
}

// Forge is one repository of a forge. It is safe for concurrent use.
type Forge struct {
	options Options
	caller  *caller
	pulls   pulls
	self    self
	// turns keep two from writing the comment of one pull request.
	turns [16]sync.Mutex
}

// pulls is what the forges' APIs have in common.
type pulls interface {
	// find returns the newest pull request of the branch.
	find(ctx context.Context, branch string) (pull, bool, error)
	// create returns a Conflict or Invalid error where there may be one already.
	create(ctx context.Context, branch, title, body string) (pull, error)
	// commits lists those of a pull request.
	commits(ctx context.Context, p pull) ([]schema.Commit, error)
	reviews
}

// reviews is what reviewing takes of them.
type reviews interface {
	// account tells whose the token is.
	account(ctx context.Context) (account, error)
	// open lists a page of the open pull requests, the newest first. What isn't
	// against the branch, or has no commit, has no Head.
	open(ctx context.Context, branch string, at paging) ([]PullRequest, error)
	status(ctx context.Context, commit schema.Revision, name string) (Status, bool, error)
	setStatus(ctx context.Context, commit schema.Revision, s Status) error
	// says is the status as the forge gives it back.
	says(s Status) Status
	comments(ctx context.Context, number int64, at paging) ([]comment, error)
	addComment(ctx context.Context, number int64, body string) error
	editComment(ctx context.Context, number, id int64, body string) error
	removeComment(ctx context.Context, number, id int64) error
}

type pull struct {
	number int
	url    string
	merged bool
	closed bool
	// revision is the commit that the merge made, where the forge says.
	revision schema.Revision
}

// New returns a Forge; nothing is connected to.
func New(options Options) (*Forge, error) {
	u, err := url.Parse(options.URL)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, schema.Errorf(schema.Invalid, "forge: URL must be that of the API, as https://host/api/v1, without credentials")
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return nil, schema.Errorf(schema.Invalid, "forge %s: use https; anything else would show the token to everybody between", u.Host)
	}
	parts := strings.Split(options.Repository, "/")
	if len(parts) < 2 || slices.Contains(parts, "") || slices.Contains(parts, "..") || (len(parts) > 2 && options.Kind != GitLab) {
		return nil, schema.Errorf(schema.Invalid, "forge: repository %q must be owner/name", options.Repository)
	}
	if options.Branch == "" || options.TokenFile == "" {
		return nil, schema.Errorf(schema.Invalid, "forge: a branch and a token file are needed")
	}
	options.Timeout = cmp.Or(options.Timeout, 10*time.Second)
	if options.Transport == nil {
		options.Transport = http.DefaultTransport
	}
	if options.Log == nil {
		options.Log = slog.Default()
	}
	f := &Forge{options: options, caller: newCaller(u, options)}
	switch options.Kind {
	case GitHub:
		f.pulls = github{rest{f.caller, options.Repository, "per_page"}, parts[0], options.Branch}
		f.caller.header = githubHeader
	case GitLab:
		f.pulls = gitlab{f.caller, options.Repository, options.Branch}
		f.caller.header = gitlabHeader
	case Gitea:
		f.pulls = gitea{rest{f.caller, options.Repository, "limit"}, options.Branch}
		f.caller.header = giteaHeader
	default:
		return nil, schema.Errorf(schema.Invalid, "forge: kind %q is none of github, gitlab and gitea", options.Kind)
	}
	return f, nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}

// Open opens a pull request for the branch, or finds the one that there is, and
// returns the address of its page. Errors: Forbidden, NotFound and Invalid as
// the forge says, Unavailable when it doesn't answer or wants to be left alone.
func (f *Forge) Open(ctx context.Context, branch, title, body string) (string, error) {
	if p, ok, err := f.pulls.find(ctx, branch); ok || err != nil {
		return p.url, err
	}
	p, err := f.pulls.create(ctx, branch, title, body)
	if code := schema.CodeOf(err); code != schema.Conflict && code != schema.Invalid {
		return p.url, err
	}
	// Somebody else may have opened it meanwhile.
	if p, ok, _ := f.pulls.find(ctx, branch); ok {
		return p.url, nil
	}
	return "", err
}

// State says whether the pull request of the branch was merged, and as which
// commit where the forge knows, or closed without; neither while it is open.
// NotFound when there is none.
func (f *Forge) State(ctx context.Context, branch string) (merged, closed bool, revision schema.Revision, err error) {
	p, ok, err := f.pulls.find(ctx, branch)
	if err == nil && !ok {
		err = schema.Errorf(schema.NotFound, "branch %s has no pull request", branch)
	}
	return p.merged, p.closed && !p.merged, p.revision, err
}
