package main

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"bayplan.dev/gitsync"
	"bayplan.dev/reconcile"
	"bayplan.dev/render"
	"bayplan.dev/review/pulls"
	"bayplan.dev/schema"
	"bayplan.dev/webhook/forge"
)

// openPulls has pull requests reviewed where that was asked for. A forge that
// refuses the token ends the start; one that doesn't answer may come back.
func (s *server) openPulls(ctx context.Context) error {
	c := s.config.Repository
	if !c.Forge.Reviews {
		return nil
	}
	account, err := s.forge.Account(ctx)
	switch code := schema.CodeOf(err); {
	case code == schema.Unavailable:
		s.log.WarnContext(ctx, "forge doesn't answer yet, pull requests will be reviewed later", "err", err)
	case err != nil:
		return schema.Errorf(code, "repository.forge.reviews: ask whose the token is: %w", err)
	default:
		s.log.InfoContext(ctx, "pull requests are reviewed", "account", account)
	}
	s.pulls = pulls.New(pulls.Options{
		Forge:      pullForge{s.forge, c.Branch},
		Repository: pullRepository{s.repo},
		Loader:     func() pulls.Loader { return s.check.loader.beside() },
		Render:     render.New().Space,
		Syncs:      newSyncs(s.loop.Hub()),
		Fleet:      s.config.Cluster.Fleet,
		Poll:       max(time.Duration(c.Poll), minPullsPoll),
		Log:        s.log,
	})
	return nil
}

// minPullsPoll is how often a forge may be asked what is open, without a hook.
const minPullsPoll = 15 * time.Second

// lookAtPulls has the reviewer look, if there is one.
func (s *server) lookAtPulls() {
	if s.pulls != nil {
		s.pulls.Poke()
	}
}

// act is what one of several servers does: it writes to the cluster and to the forge.
func (s *server) act(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.loop.Run(ctx) })
	if s.pulls != nil {
		group.Go(func() error { return s.pulls.Run(ctx) })
	}
	return group.Wait()
}

// pullForge is the forge as reviews need it; Comment is its own.
type pullForge struct {
	*forge.Forge
	branch string
}

func (f pullForge) PullRequests(ctx context.Context) ([]pulls.PullRequest, error) {
	list, err := f.Forge.PullRequests(ctx, f.branch)
	open := make([]pulls.PullRequest, len(list))
	for i, p := range list {
		open[i] = pulls.PullRequest{Number: p.Number, Head: p.Head, Ref: p.Ref, URL: p.URL}
	}
	return open, err
}

func (f pullForge) Status(ctx context.Context, commit schema.Revision, name string) (pulls.State, error) {
	s, _, err := f.Forge.Status(ctx, commit, name)
	return pulls.State(s.State), err
}

func (f pullForge) SetStatus(ctx context.Context, commit schema.Revision, s pulls.Status) error {
	return f.Forge.SetStatus(ctx, commit, forge.Status{
		Context: s.Context, State: forge.StatusState(s.State), Description: s.Description, URL: s.URL,
	})
}

func (f pullForge) Annotate(ctx context.Context, commit schema.Revision, s pulls.Status, found schema.Findings) error {
	_, err := f.Forge.Annotate(ctx, commit, forge.Annotations{
		Name: s.Context, State: forge.StatusState(s.State), Title: s.Description,
		Summary: "The comment of the pull request says what it changes.", URL: s.URL, Findings: found,
	})
	return err
}

// pullRepository is the repository as reviews need it.
type pullRepository struct{ *gitsync.Repo }

func (r pullRepository) Change(ctx context.Context, ref string, head schema.Revision) (pulls.Change, error) {
	a, err := r.Aside(ctx, gitsync.AsideOptions{Ref: ref, Revision: head})
	if err != nil {
		return pulls.Change{}, err
	}
	return pulls.Change{Base: a.Base, Head: a.Head, Own: a.Own, Close: a.Close}, nil
}

func (r pullRepository) Recent(ctx context.Context, to schema.Revision, limit int) ([]schema.Revision, error) {
	page, err := r.Log(ctx, gitsync.LogOptions{From: to, Limit: limit})
	revisions := make([]schema.Revision, len(page.Commits))
	for i, c := range page.Commits {
		revisions[i] = c.Revision
	}
	return revisions, err
}

// syncs follows the hub's status of the sync.
type syncs struct {
	hub *reconcile.Hub
	sub *reconcile.Subscription
}

// newSyncs sees of the hub's changes those of the sync only.
func newSyncs(hub *reconcile.Hub) syncs {
	return syncs{hub, hub.Subscribe(0, true, func(schema.User) bool { return false })}
}

func (s syncs) Next(ctx context.Context) (schema.SyncStatus, error) {
	if _, err := s.sub.Next(ctx); err != nil {
		return schema.SyncStatus{}, err
	}
	return s.hub.Sync(), nil
}
