package main

import (
	"context"
	"errors"
	"fmt"

	"bayplan.dev/gitsync"
	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

// committer lets the API write to the repository; the two rooms know nothing
// of each other.
type committer struct {
	writer *gitsync.Writer
	repo   *gitsync.Repo
	// lookups is nil where there is no forge to ask.
	lookups *lookups
}

func (s *server) committer() *committer { return &committer{s.writer, s.repo, s.lookups} }

func (c *committer) Do(ctx context.Context, change webhook.Change) (webhook.Commit, error) {
	trailers := make([]gitsync.Trailer, len(change.Trailers))
	for i, t := range change.Trailers {
		trailers[i] = gitsync.Trailer(t)
	}
	made, err := c.writer.Do(ctx, gitsync.Change{
		Author: change.Author, AuthorEmail: change.AuthorEmail, Subject: change.Subject, Trailers: trailers,
		IdempotencyKey: change.IdempotencyKey, Operation: change.Operation,
		Mutate: func(v *gitsync.View) error { return change.Mutate(v) },
	})
	if errors.Is(err, gitsync.ErrUnknown) {
		err = fmt.Errorf("%w: %w", webhook.ErrOutcomeUnknown, err)
	}
	if err == nil && made.Declined {
		known, _, err := c.recall(ctx, made.Operation, commitOf(made), true)
		return known, err
	}
	return commitOf(made), err
}

func (c *committer) Try(ctx context.Context, mutate func(webhook.Tree) error) (webhook.Trial, error) {
	before, after, err := c.writer.Try(ctx, func(v *gitsync.View) error { return mutate(v) })
	return webhook.Trial{Before: before, After: after}, err
}

func (c *committer) Operation(ctx context.Context, id string) (webhook.Commit, bool, error) {
	made, ok, err := c.writer.Operation(ctx, id)
	if err == nil && (!ok || made.Declined) {
		return c.recall(ctx, id, commitOf(made), ok)
	}
	return commitOf(made), ok, err
}

func (c *committer) History(ctx context.Context, query webhook.HistoryQuery) ([]webhook.Commit, schema.Revision, error) {
	head, err := c.repo.Head(ctx)
	if err != nil {
		return nil, "", err
	}
	page, err := c.repo.Log(ctx, gitsync.LogOptions{From: head.Revision, Paths: query.Paths, Limit: query.Limit, After: query.After})
	if err != nil {
		return nil, "", err
	}
	commits := make([]webhook.Commit, len(page.Commits))
	for i, made := range page.Commits {
		commits[i] = webhook.Commit{
			Revision: made.Revision, Operation: first(made.Trailers[gitsync.OperationTrailer]), Trailers: made.Trailers,
			Author: made.Author, Subject: made.Subject, Time: made.Time,
		}
		if query.Contents {
			if err := read(head.Tree, made.Files, &commits[i]); err != nil {
				return nil, "", err
			}
		}
	}
	return commits, page.Next, nil
}

// maxContent is as large as a document may be; a larger file is a finding.
const maxContent = 64 << 10

// read fills in the files of a commit by their hashes.
func read(tree schema.Tree, files map[string]string, into *webhook.Commit) error {
	into.Contents = make(map[string][]byte, len(files))
	for path, hash := range files {
		content, err := tree.Blob(hash, maxContent)
		switch {
		case schema.CodeOf(err) == schema.Exceeded:
			into.Unread = true
		case err != nil:
			return err
		default:
			into.Contents[path] = content
		}
	}
	return nil
}

func (c *committer) At(ctx context.Context, revision schema.Revision) (schema.Snapshot, error) {
	return c.repo.Ancestor(ctx, revision)
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

func commitOf(made gitsync.Committed) webhook.Commit {
	return webhook.Commit{
		Revision: made.Revision, Operation: made.Operation, Unchanged: made.Unchanged, Repeated: made.Repeated,
		AwaitingReview: made.AwaitingReview, Declined: made.Declined, ReviewURL: made.ReviewURL,
		Trailers: made.Trailers, Author: made.Author, Subject: made.Subject, Time: made.Time,
	}
}
