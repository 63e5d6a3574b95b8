package forge

import (
	"context"
	"log/slog"
	"strconv"

	"bayplan.dev/schema"
)

const (
	// maxPullRequests bounds how many open pull requests are listed.
	maxPullRequests = 1000
	// pageSize is what Gitea gives at most as it is delivered.
	pageSize = 50
)

// PullRequest is an open pull request (GitLab: merge request). What people
// wrote in it, Title and Branch, is as they wrote it.
type PullRequest struct {
	Number int64
	Title  string
	Author string
	// URL is its page.
	URL string
	// Head is its last commit.
	Head schema.Revision
	// Base is the head of the branch it is to be merged into as the forge
	// remembers it: GitHub's may be old, GitLab's lists don't have it.
	Base schema.Revision
	// Ref is what the fleet's own repository gives Head under, forks included,
	// as refs/pull/7/head.
	Ref string
	// Branch is where Head is pushed to, in the fork if Fork is set.
	Branch      string
	Fork, Draft bool
}

// paging says which part of a list is wanted; pages count from 1.
type paging struct{ page, size int }

func (p paging) query(size string) string {
	return "page=" + strconv.Itoa(p.page) + "&" + size + "=" + strconv.Itoa(p.size)
}

// PullRequests lists what is open against a branch, the newest first and 1,000
// at most. One that is too large to be listed is left out. Errors are those of
// Open.
func (f *Forge) PullRequests(ctx context.Context, branch string) ([]PullRequest, error) {
	var found []PullRequest
	known := map[int64]bool{}
	for page := 1; ; page++ {
		list, err := f.pulls.open(ctx, branch, paging{page, pageSize})
		if schema.CodeOf(err) == schema.Exceeded {
			list, err = f.singly(ctx, branch, page)
		}
		if err != nil {
			return nil, err
		}
		fresh := false
		for _, p := range list {
			// A list that moves while it is read shows some twice.
			if known[p.Number] {
				continue
			}
			known[p.Number], fresh = true, true
			if p.Head != "" {
				found = append(found, p)
			}
		}
		switch {
		case len(list) < pageSize || !fresh:
			return found, nil
		case len(known) >= maxPullRequests:
			f.options.Log.WarnContext(ctx, "too many pull requests, the oldest aren't looked at", slog.Int("looked_at", len(known)))
			return found, nil
		}
	}
}

// singly lists a page whose answer is too large one by one, so that a huge one
// doesn't hide the others. Those that are too large have a negative number and
// no head.
func (f *Forge) singly(ctx context.Context, branch string, page int) ([]PullRequest, error) {
	var list []PullRequest
	for i := range pageSize {
		at := (page-1)*pageSize + i + 1
		one, err := f.pulls.open(ctx, branch, paging{at, 1})
		switch {
		case schema.CodeOf(err) == schema.Exceeded:
			f.options.Log.WarnContext(ctx, "pull request is too large, it isn't looked at", slog.Any("err", err))
			list = append(list, PullRequest{Number: int64(-at)})
		case err != nil:
			return nil, err
		case len(one) == 0:
			return list, nil
		default:
			list = append(list, one[0])
		}
	}
	return list, nil
}

// validRevision says whether a revision is a whole hash, so that it may stand
// in a path.
func validRevision(r schema.Revision) bool {
	if len(r) != 40 && len(r) != 64 {
		return false
	}
	for _, c := range r {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// whole drops what isn't a whole hash.
func whole(r schema.Revision) schema.Revision {
	if !validRevision(r) {
		return ""
	}
	return r
}
