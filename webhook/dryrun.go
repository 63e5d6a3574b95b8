package webhook

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
	"bayplan.dev/webhook/mutation"
)

// maxSlots bounds the requests that are worked on at once of those that take
// more than a moment; others wait.
const maxSlots = 4

// slot waits for its turn; release ends it. Unavailable when ctx ends first.
func (a *API) slot(ctx context.Context) (release func(), err error) {
	select {
	case a.slots <- struct{}{}:
		return func() { <-a.slots }, nil
	case <-ctx.Done():
		return nil, schema.Errorf(schema.Unavailable, "too many requests like this one wait")
	}
}

// Trial is what a Change would have made.
type Trial struct {
	// Before and After are the tree without and with it; both can be read for a
	// while. They have the same Root where nothing would change.
	Before, After schema.Snapshot
}

// DryRun answers a write with dry_run: nothing was committed.
type DryRun struct {
	DryRun  bool       `json:"dry_run" doc:"Always true."`
	Subject string     `json:"subject" doc:"What the commit would be called."`
	Files   []FileDiff `json:"files" nullable:"false" doc:"Empty where nothing would change."`
	// Plan is absent where nothing would change.
	Plan *Plan `json:"plan,omitempty"`
}

// FileDiff is how a file would change.
type FileDiff struct {
	File   string        `json:"file"`
	Action schema.Action `json:"action" enum:"create,change,delete"`
	Diff   string        `json:"diff" doc:"In unified form, without the names of the files."`
}

// rehearse does all that commit does, but for the commit.
func (a *API) rehearse(ctx context.Context, i *intent) (*writeOutput, error) {
	caller, _ := auth.CallerOf(ctx)
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	release, err := a.slot(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	var tried attempt
	files := []FileDiff{}
	trial, err := a.opts.Committer.Try(ctx, func(t Tree) error {
		r := &recorder{Tree: t, before: map[string][]byte{}}
		err := tried.run(i.edit, r)
		if err == nil {
			files, err = r.diffs()
		}
		return err
	})
	_, refused := tried.result()
	switch {
	case err != nil && i.missing && schema.CodeOf(refused) == schema.NotFound && errors.Is(err, refused):
		return &writeOutput{Status: http.StatusNoContent}, nil
	case err != nil:
		return nil, i.refusal(caller, err, refused, "")
	}
	out := DryRun{DryRun: true, Subject: i.subject(), Files: files}
	if trial.Before.Root != trial.After.Root && a.opts.Plan != nil {
		if out.Plan, err = a.opts.Plan(ctx, i.target.User, trial); err != nil {
			return nil, err
		}
		out.Plan.Findings = visibleFindings(caller, out.Plan.Findings)
	}
	return &writeOutput{Status: http.StatusOK, Body: out}, nil
}

// recorder remembers what the files that an edit writes held before.
type recorder struct {
	Tree
	before map[string][]byte // nil for a file that wasn't there
	order  []string
}

func (r *recorder) note(name string) error {
	if _, known := r.before[name]; known {
		return nil
	}
	content, err := r.read(name)
	if err == nil {
		r.before[name] = content
		r.order = append(r.order, name)
	}
	return err
}

// read is nil for a file that isn't there.
func (r *recorder) read(name string) ([]byte, error) {
	content, err := r.Read(name)
	switch {
	case schema.CodeOf(err) == schema.NotFound:
		return nil, nil
	case err == nil && content == nil:
		content = []byte{}
	}
	return content, err
}

// Write implements Tree.
func (r *recorder) Write(name string, content []byte) error {
	if err := r.note(name); err != nil {
		return err
	}
	return r.Tree.Write(name, content)
}

// Remove implements Tree.
func (r *recorder) Remove(name string) error {
	if err := r.note(name); err != nil {
		return err
	}
	return r.Tree.Remove(name)
}

var _ mutation.Tree = (*recorder)(nil)

// diffs are the files that differ, in the order in which they were touched.
func (r *recorder) diffs() ([]FileDiff, error) {
	files := []FileDiff{}
	for _, name := range r.order {
		before := r.before[name]
		after, err := r.read(name)
		if err != nil {
			return nil, err
		}
		f := FileDiff{File: name, Action: schema.ActionChange, Diff: unified(before, after)}
		switch {
		case before == nil && after == nil, before != nil && after != nil && bytes.Equal(before, after):
			continue
		case before == nil:
			f.Action = schema.ActionCreate
		case after == nil:
			f.Action = schema.ActionDelete
		}
		files = append(files, f)
	}
	return files, nil
}

// unified is the difference in unified form, without the lines that name files.
func unified(before, after []byte) string {
	const headerLines = 3
	lines := strings.SplitAfterN(string(diff.Diff("", before, "", after)), "\n", headerLines+1)
	if len(lines) <= headerLines {
		return ""
	}
	return lines[headerLines]
}
