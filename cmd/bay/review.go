package main

import (
	"cmp"
	"context"
	"log/slog"
	"regexp"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"bayplan.dev/gitsync"
	"bayplan.dev/reconcile"
	"bayplan.dev/schema"
	"bayplan.dev/webhook"
	"bayplan.dev/webhook/forge"
)

// reviewEvery is how often the server looks what became of changes that wait to
// be merged. A push to the branch makes it look at once.
const reviewEvery = 30 * time.Second

// forgeConfig is where pull requests are opened and reviewed.
type forgeConfig struct {
	Kind       string `json:"kind"`
	URL        string `json:"url"`
	Repository string `json:"repository"`
	TokenFile  string `json:"tokenFile"`
	// Reviews has the server review the pull requests of people.
	Reviews bool `json:"reviews"`
}

// reviewed says whether calls become branches that somebody merges.
func (c repositoryConfig) reviewed() bool { return c.Review != "" }

// checkReview says what is wrong with the settings of reviews.
func (c repositoryConfig) checkReview() error {
	switch {
	case c.Review != "" && c.Review != gitsync.ReviewPullRequest:
		return schema.Errorf(schema.Invalid, "repository.review %q must be %s", c.Review, gitsync.ReviewPullRequest)
	case c.Review != "" && c.Host != "":
		return schema.Errorf(schema.Invalid, "repository.review needs repository.url: a repository that Bayplan hosts has no pull requests")
	case c.Host != "" && c.Forge != forgeConfig{}:
		return schema.Errorf(schema.Invalid, "repository.forge needs repository.url: a repository that Bayplan hosts has no pull requests")
	case c.Review == "" && c.Forge != forgeConfig{} && !c.Forge.Reviews:
		return schema.Errorf(schema.Invalid, "repository.forge is for repository.review: %s or for repository.forge.reviews: true", gitsync.ReviewPullRequest)
	}
	_, err := c.openForge(slog.Default())
	return err
}

// openForge returns nil where there is no forge: then the branches are all
// that there is to be merged.
func (c repositoryConfig) openForge(log *slog.Logger) (*forge.Forge, error) {
	if c.Forge == (forgeConfig{}) {
		return nil, nil
	}
	kind := forge.Kind(c.Forge.Kind)
	if kind == "forgejo" { // as among the hooks
		kind = forge.Gitea
	}
	f, err := forge.New(forge.Options{
		Kind: kind, URL: c.Forge.URL, Repository: c.Forge.Repository, Branch: c.Branch, TokenFile: c.Forge.TokenFile, Log: log,
	})
	if err != nil {
		return nil, schema.Errorf(schema.Invalid, "repository.forge: %w", err)
	}
	return f, nil
}

// openReviews has the writer make branches and pull requests of what calls
// change. A forge that refuses the token ends the start; one that doesn't
// answer may come back.
func (s *server) openReviews(ctx context.Context, options *gitsync.WriterOptions) error {
	c := s.config.Repository
	if !c.reviewed() {
		return nil
	}
	options.Review, s.reviews = c.Review, gitsync.NewTrigger()
	f := s.forge
	if f == nil {
		return nil
	}
	options.Reviewer, s.lookups = proposer{f, c.Branch}, &lookups{f, rate.NewLimiter(lookupsPerSecond, lookupsBurst)}
	// No operation has this name: what counts is whether the forge lets us ask.
	_, _, _, err := f.State(ctx, reviewBranch+"none")
	code := schema.CodeOf(err)
	if code == schema.Forbidden || code == schema.Invalid {
		return err
	}
	if code == schema.Unavailable {
		s.log.WarnContext(ctx, "forge doesn't answer yet, pull requests will be opened later", "err", err)
	}
	return nil
}

// proposer is the forge as the writer needs it.
type proposer struct {
	*forge.Forge
	branch string
}

// Opened lists the branches of the fleet's own repository with an open pull
// request, and its page.
func (p proposer) Opened(ctx context.Context) (map[string]string, error) {
	list, err := p.PullRequests(ctx, p.branch)
	open := map[string]string{}
	for _, pull := range list {
		if !pull.Fork {
			open[pull.Branch] = pull.URL
		}
	}
	return open, err
}

// watchReviews looks what became of changes that wait to be merged, until ctx ends.
func (s *server) watchReviews(ctx context.Context) error {
	tick := time.NewTicker(reviewEvery)
	defer tick.Stop()
	for {
		if err := s.api.Review(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "reviews not looked at", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-s.reviews:
		}
	}
}

// Awaiting lists the changes that wait to be merged.
func (c *committer) Awaiting(ctx context.Context) ([]webhook.Commit, error) {
	made, err := c.writer.Awaiting(ctx)
	commits := make([]webhook.Commit, len(made))
	for i, m := range made {
		commits[i] = commitOf(m)
	}
	return commits, err
}

// lookups asks the forge what became of operations, as often as is polite.
type lookups struct {
	forge *forge.Forge
	limit *rate.Limiter
}

// lookupsPerSecond and lookupsBurst bound what callers can have the forge asked.
const (
	lookupsPerSecond = 1
	lookupsBurst     = 20
)

// reviewBranch begins the names of the branches that wait to be merged.
const reviewBranch = "bayplan/"

// operationPattern is how the API names operations.
var operationPattern = regexp.MustCompile(`^[a-z2-7]{26}$`)

// recall completes what the repository tells of an operation. A squash may drop
// the message of the commit, and a branch that is gone says neither what it held
// nor why it went; the forge's pull request still knows.
func (c *committer) recall(ctx context.Context, id string, known webhook.Commit, ok bool) (webhook.Commit, bool, error) {
	if c.lookups == nil || !operationPattern.MatchString(id) {
		return known, ok, nil
	}
	if !c.lookups.limit.Allow() {
		return webhook.Commit{}, false, schema.Errorf(schema.Unavailable, "too many operations were looked up at the forge, try again")
	}
	change, found, err := c.lookups.forge.Change(ctx, reviewBranch+id)
	if err != nil || !found {
		return known, ok && err == nil, err
	}
	for _, made := range change.Commits {
		if !ok && first(made.Trailers[gitsync.OperationTrailer]) == id {
			known, ok = webhook.Commit{
				Revision: made.Revision, Operation: id, Trailers: made.Trailers, Author: made.Author, Subject: made.Subject, Time: made.Time,
			}, true
		}
	}
	known.ReviewURL, known.Declined, known.AwaitingReview = change.URL, change.Closed, !change.Closed && !change.Merged
	if change.Merged {
		known.Revision = cmp.Or(change.Revision, known.Revision)
	}
	return known, ok, nil
}

// maxProposed bounds how many proposals of expiries are remembered; what is
// forgotten is found again in the repository.
const maxProposed = 10_000

// proposals are the expiries that were proposed already. It is safe for
// concurrent use.
type proposals struct {
	mu   sync.Mutex
	made map[string]bool
}

func (p *proposals) has(key string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.made[key]
}

func (p *proposals) add(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.made == nil || len(p.made) >= maxProposed {
		p.made = map[string]bool{}
	}
	p.made[key] = true
}

// expire writes into the repository what has become of an expired container.
// Where that has to be merged it is proposed once, however long the file goes
// on saying otherwise: the container is stopped all the same.
func (s *server) expire(ctx context.Context, to webhook.Committer, e reconcile.Expiry) error {
	if s.reviews == nil {
		return webhook.Expire(ctx, to, e.ID, e.At, e.Policy)
	}
	key := "bayplan/expire/" + e.ID.String() + "/" + e.At.UTC().Format(time.RFC3339)
	if s.proposed.has(key) {
		return nil
	}
	err := webhook.Expire(ctx, keyed{to, key}, e.ID, e.At, e.Policy)
	if err == nil {
		s.proposed.add(key)
	}
	return err
}

// keyed is a Committer of one change, which has a key of its own.
type keyed struct {
	webhook.Committer
	key string
}

func (k keyed) Do(ctx context.Context, change webhook.Change) (webhook.Commit, error) {
	change.IdempotencyKey = k.key
	return k.Committer.Do(ctx, change)
}
