package webhook

import (
	"context"
	"encoding/base64"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/mutation"
)

const (
	// maxChangesPage bounds the commits of a page whose files are read.
	maxChangesPage = 50
	// maxLooks is how often one call looks further back for the commit before
	// the last one of its page; each looks through some thousand.
	maxLooks = 5
)

// changesPage is a page of the history that says what each commit changed. What
// the files held before a commit is what the one before it in the list left:
// those between them left these files alone.
func (a *API) changesPage(ctx context.Context, target mutation.Target, p Page) (*listOutput[HistoryEntry], error) {
	limit := min(p.Limit, maxChangesPage)
	query := HistoryQuery{Paths: a.filesOf(target), Limit: limit + 1, Contents: true}
	commits, next, err := a.commits(ctx, query, p.Continue)
	if err != nil {
		return nil, err
	}
	for look := 1; len(commits) <= limit && next != "" && look < maxLooks; look++ {
		query.After, query.Limit = next, limit+1-len(commits)
		var more []Commit
		if more, next, err = a.opts.Committer.History(ctx, query); err != nil {
			return nil, err
		}
		commits = append(commits, more...)
	}
	if len(commits) == 0 && p.Continue == "" && next == "" {
		return nil, target.Missing()
	}
	release, err := a.slot(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	out := newList[HistoryEntry](a)
	states := statesOf(target, query.Paths, commits)
	for i, c := range commits[:min(limit, len(commits))] {
		entry := viewCommit(c)
		switch {
		case i+1 < len(commits):
			entry.Change = a.change(states[i+1], states[i])
		case next == "": // nothing was there before
			entry.Change = a.change(state{}, states[i])
		}
		out.Body.Items = append(out.Body.Items, entry)
	}
	switch {
	case len(commits) > limit:
		next = commits[limit-1].Revision
	case next == "":
		return out, nil
	}
	out.Body.Metadata.Continue = base64.RawURLEncoding.EncodeToString([]byte(next))
	return out, nil
}

// state is what a document says at a commit.
type state struct {
	spec map[string]any
	// exists is false when there is no such document, unknown true when a file
	// that may hold it can't be read.
	exists, unknown bool
}

func statesOf(target mutation.Target, paths []string, commits []Commit) []state {
	states := make([]state, len(commits))
	for i, c := range commits {
		files := make([]mutation.File, len(paths))
		for j, path := range paths {
			files[j] = mutation.File{Path: path, Content: c.Contents[path]}
		}
		spec, err := mutation.Spec(target, files)
		states[i] = state{spec: spec, exists: err == nil, unknown: c.Unread || err != nil && schema.CodeOf(err) != schema.NotFound}
	}
	return states
}

// change is what lies between two states; nil where that isn't known.
func (a *API) change(was, now state) *HistoryChange {
	if was.unknown || now.unknown || !was.exists && !now.exists {
		return nil
	}
	c := &HistoryChange{Action: schema.ActionChange, Fields: []FieldChange{}}
	switch {
	case !now.exists:
		c.Action = schema.ActionDelete
		return c
	case !was.exists:
		c.Action = schema.ActionCreate
	}
	if fields, more := a.opts.Fields(was.spec, now.spec); len(fields) > 0 {
		c.Fields, c.More = fields, more
	}
	return c
}
