package forge

import (
	"context"
	"net/textproto"
	"strings"
	"time"

	"bayplan.dev/schema"
)

// maxCommits is how many commits of a pull request are looked at.
const maxCommits = "50"

// Change is what the pull request of a branch brings, and what became of it.
// The forge knows it even when the branch is gone.
type Change struct {
	// URL is the page of the pull request.
	URL string
	// Merged and Closed are as State tells them, Revision is the merge.
	Merged, Closed bool
	Revision       schema.Revision
	// Commits are those of the branch, as they were before the merge.
	Commits []schema.Commit
}

// Change finds the change of a branch; false when there never was a pull
// request of it. Errors are those of State.
func (f *Forge) Change(ctx context.Context, branch string) (Change, bool, error) {
	p, ok, err := f.pulls.find(ctx, branch)
	if !ok || err != nil {
		return Change{}, false, err
	}
	c := Change{URL: p.url, Merged: p.merged, Closed: p.closed && !p.merged, Revision: p.revision}
	c.Commits, err = f.pulls.commits(ctx, p)
	return c, err == nil, err
}

// signature is who made a commit, and when.
type signature struct {
	Name  string    `json:"name"`
	Email string    `json:"email"`
	Date  time.Time `json:"date"`
}

func (s signature) String() string { return s.Name + " <" + s.Email + ">" }

// listedCommit is a commit in the lists of GitHub and Gitea.
type listedCommit struct {
	Revision schema.Revision `json:"sha"`
	Commit   struct {
		Message   string    `json:"message"`
		Author    signature `json:"author"`
		Committer signature `json:"committer"`
	} `json:"commit"`
}

func commitsOf(list []listedCommit) []schema.Commit {
	commits := make([]schema.Commit, len(list))
	for i, l := range list {
		commits[i] = commitOf(l.Revision, l.Commit.Message)
		commits[i].Author, commits[i].Time = l.Commit.Author.String(), l.Commit.Committer.Date.UTC()
	}
	return commits
}

// commitOf reads the message of a commit: its subject, and the trailers of its
// last paragraph, a line each.
func commitOf(revision schema.Revision, message string) schema.Commit {
	c := schema.Commit{Revision: revision}
	message = strings.TrimSpace(strings.ReplaceAll(message, "\r\n", "\n"))
	c.Subject, _, _ = strings.Cut(message, "\n")
	end := strings.LastIndex(message, "\n\n")
	if end < 0 {
		return c
	}
	c.Trailers = map[string][]string{}
	for line := range strings.Lines(message[end+2:]) {
		key, value, ok := strings.Cut(line, ":")
		if ok && !strings.ContainsAny(key, " \t") {
			key = textproto.CanonicalMIMEHeaderKey(key)
			c.Trailers[key] = append(c.Trailers[key], strings.TrimSpace(value))
		}
	}
	return c
}
