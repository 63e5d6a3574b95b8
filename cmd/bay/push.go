package main

import (
	"context"
	"fmt"
	"strings"

	"bayplan.dev/render"
	"bayplan.dev/schema"
)

// maxChanges bounds the lines that a push is answered with.
const maxChanges = 50

// pushCheck decides what may land in the hosted repository. It keeps a loader
// of its own, beside the loop's, so that pushes don't push the loop's memory out.
// What it has read and rendered of a commit, the loop needn't once more.
type pushCheck struct {
	loader   loader
	renderer *render.Renderer
}

func newPushCheck() *pushCheck { return &pushCheck{newLoader(), render.New()} }

// addedError refuses a commit for the findings that it adds, errors among them.
type addedError struct{ found schema.Findings }

func (e *addedError) Error() string {
	return plural(len(e.found.Errors()), "error") + "; nothing has changed"
}

// Unwrap gives it the code of what is wrong in itself.
func (e *addedError) Unwrap() error { return schema.Errorf(schema.Invalid, "the commit has findings") }

// Findings are those that the commit adds.
func (e *addedError) Findings() schema.Findings { return e.found }

// check answers a push from old to new with what it will change. It refuses a
// push that adds errors, and says which; errors that are there already are
// their own user's to mend and stop nobody else (ADR 3).
func (p *pushCheck) check(ctx context.Context, old, pushed schema.Snapshot) (string, error) {
	from, to, found, err := p.added(ctx, old, pushed)
	if err != nil {
		return "", err
	}
	if len(found.Errors()) > 0 {
		return found.Text(), &addedError{found}
	}
	return found.Text() + changesText(schema.Diff(from, to)), nil
}

// checkCommit holds a commit that a call makes to the same rules.
func (p *pushCheck) checkCommit(ctx context.Context, old, now schema.Snapshot) error {
	_, _, found, err := p.added(ctx, old, now)
	if err == nil && len(found.Errors()) > 0 {
		err = &addedError{found}
	}
	return err
}

// added is what is wrong with the new tree and wasn't with the old one.
func (p *pushCheck) added(ctx context.Context, old, now schema.Snapshot) (from, to *schema.Fleet, found schema.Findings, err error) {
	if from, err = p.loader.Load(ctx, old); err != nil {
		return nil, nil, nil, err
	}
	if to, err = p.loader.Load(ctx, now); err != nil {
		return nil, nil, nil, err
	}
	found = append(to.Findings.New(from.Findings), schema.Shrinks(from, to)...)
	found = append(found, p.unrendered(from, to)...)
	found.Sort()
	return from, to, found, nil
}

// unrendered renders the spaces that differ: what the gate refuses is refused here already.
func (p *pushCheck) unrendered(from, to *schema.Fleet) schema.Findings {
	var found schema.Findings
	if to.Frozen {
		return nil
	}
	for id, space := range to.Spaces.Changed(from.Spaces) {
		if before := from.Spaces.Get(id); space.Frozen || before != nil && before.Digest == space.Digest {
			continue
		}
		if _, err := p.renderer.Space(to, id); err != nil {
			found = append(found, schema.Finding{
				Position: space.Source, Severity: schema.SeverityError, Code: "render", Message: err.Error(),
			})
		}
	}
	return found
}

// plural is "1 error" or "2 errors".
func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

func changesText(changes []schema.Change) string {
	if len(changes) == 0 {
		return "no container, volume, space or key changes\n"
	}
	var b strings.Builder
	for i, change := range changes {
		if i == maxChanges {
			fmt.Fprintf(&b, "and %d more\n", len(changes)-i)
			break
		}
		b.WriteString(change.String() + "\n")
	}
	return b.String()
}
