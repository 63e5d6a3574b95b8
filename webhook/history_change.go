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
	out := newList[HistoryEntry](a)
	for i := range commits[:min(limit, len(commits))] {
		entry := viewCommit(commits[i])
		switch {
		case i+1 < len(commits):
			entry.Change = a.change(target, query.Paths, commits[i+1], commits[i])
		case next == "": // nothing was there before
			entry.Change = a.change(target, query.Paths, Commit{}, commits[i])
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

// change is what a commit changed of the target; nil where that isn't known.
func (a *API) change(target mutation.Target, paths []string, before, after Commit) *HistoryChange {
	was, existed, err := specAt(target, paths, before)
	if err != nil {
		return nil
	}
	now, exists, err := specAt(target, paths, after)
	if err != nil || !existed && !exists {
		return nil
	}
	c := &HistoryChange{Action: schema.ActionChange, Fields: []FieldChange{}}
	switch {
	case !exists:
		c.Action = schema.ActionDelete
		return c
	case !existed:
		c.Action = schema.ActionCreate
	}
	if fields, more := a.opts.Fields(was, now); len(fields) > 0 {
		c.Fields, c.More = fields, more
	}
	return c
}

// specAt is what the target's document says at a commit; false when there is none.
func specAt(target mutation.Target, paths []string, c Commit) (map[string]any, bool, error) {
	files := make([]mutation.File, len(paths))
	for i, path := range paths {
		files[i] = mutation.File{Path: path, Content: c.Contents[path]}
	}
	spec, err := mutation.Spec(target, files)
	if schema.CodeOf(err) == schema.NotFound {
		return nil, false, nil
	}
	return spec, err == nil, err
}
