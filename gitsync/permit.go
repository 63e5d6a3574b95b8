package gitsync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"bayplan.dev/schema"
)

// Bounds of a push by somebody who may not change everything.
const (
	maxPushed    = 1000
	maxOffending = 10
	// maxCompared bounds the folders that are read for one commit, and the paths
	// of a merge that are compared.
	maxCompared = 100_000
)

// reserved are trailers that speak for the platform: what a call was answered
// with is read from them, and what an operator allows.
var reserved = []string{OperationTrailer, IdempotencyKeyTrailer, "On-Behalf-Of", "Allow-Mass-Delete"} //nolint:gochecknoglobals // a table

const reservedPrefix = "Bayplan-"

// permit holds a push to what its Pusher may change. The report names what it may not.
func (h *Host) permit(ctx context.Context, q question) (report string, err error) {
	who, ok := PusherOf(ctx)
	if !ok || who.All {
		return "", nil
	}
	if who.User == "" {
		return "", schema.Errorf(schema.Forbidden, "%s may not push", who.Actor)
	}
	for _, u := range q.Updates {
		if u.Ref != "refs/heads/"+h.options.Branch {
			return "", schema.Errorf(schema.Forbidden, "%s may push to branch %s only, not to %s", who.Actor, h.options.Branch, strings.TrimPrefix(u.Ref, "refs/heads/"))
		}
		if u.New == plumbing.ZeroHash.String() {
			return "", schema.Errorf(schema.Forbidden, "branch %s can't be deleted", h.options.Branch)
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, h.options.CheckTimeout, errTooLong)
	defer cancel()
	pushed, err := h.pushed(q.Quarantine)
	if err != nil {
		return "", err
	}
	defer pushed.close()
	p := permission{store: pushed, user: who.User}
	for _, u := range q.Updates {
		if report, err := p.update(ctx, u); err != nil {
			return report, err
		}
	}
	return "", nil
}

// permission is to change one user's folder.
type permission struct {
	store *store
	user  string
}

func (p *permission) own() string { return "users/" + p.user + "/" }

// update looks at the whole first, which is what mostly offends, and then at
// each commit: what one does and the next undoes would still stand in the
// history of somebody else's files.
func (p *permission) update(ctx context.Context, u update) (report string, err error) {
	old := u.Old
	if old == plumbing.ZeroHash.String() {
		old = ""
	}
	history, err := p.store.history(ctx, old, u.New)
	if err != nil {
		return "", err
	}
	switch {
	case old != "" && !history.Descends:
		return "", schema.Errorf(schema.Forbidden, "the push rewrites history; run git pull --rebase and push again")
	case len(history.Commits) > maxPushed:
		return "", schema.Errorf(schema.Exceeded, "%d commits at once; at most %d are looked through, push fewer", len(history.Commits), maxPushed)
	}
	if err := p.trailers(history.Commits); err != nil {
		return "", err
	}
	from, to, err := p.roots(old, u.New)
	if err != nil {
		return "", err
	}
	if paths, err := p.outside(ctx, from, to, maxOffending); err != nil || len(paths) > 0 {
		return p.refuse(paths, "", err)
	}
	for _, c := range history.Commits {
		if paths, err := p.commit(ctx, c.Revision); err != nil || len(paths) > 0 {
			return p.refuse(paths, " in commit "+c.Revision.Short(), err)
		}
	}
	return "", nil
}

func (p *permission) refuse(paths []string, where string, err error) (string, error) {
	if err != nil {
		return "", err
	}
	var report strings.Builder
	for i, path := range paths {
		if i == maxOffending {
			report.WriteString("and more\n")
			break
		}
		fmt.Fprintf(&report, "%s: not below %s\n", path, p.own())
	}
	return report.String(), schema.Errorf(schema.Forbidden, "only files below %s may be changed, not %s%s", p.own(), paths[0], where)
}

// trailers refuses commits that say what only the platform says.
func (p *permission) trailers(commits []schema.Commit) error {
	for _, c := range commits {
		for key := range c.Trailers {
			if slices.Contains(reserved, key) || strings.HasPrefix(key, reservedPrefix) {
				return schema.Errorf(schema.Forbidden, "commit %s says %q, which only the platform may; take the line out of its message", c.Revision.Short(), key+":")
			}
		}
	}
	return nil
}

// commit lists the paths outside that differ from those of every parent: a
// merge doesn't change what it takes over.
func (p *permission) commit(ctx context.Context, revision schema.Revision) ([]string, error) {
	r, err := p.store.revision(string(revision))
	if err != nil {
		return nil, p.store.unreadable(err)
	}
	if len(r.parents) < 2 {
		from, to, err := p.roots(strings.Join(r.parents, ""), string(revision))
		if err != nil {
			return nil, err
		}
		return p.outside(ctx, from, to, maxOffending)
	}
	var common map[string]bool
	for _, parent := range r.parents {
		from, to, err := p.roots(parent, string(revision))
		if err != nil {
			return nil, err
		}
		paths, err := p.outside(ctx, from, to, maxCompared)
		if err != nil {
			return nil, err
		}
		if len(paths) >= maxCompared {
			return nil, schema.Errorf(schema.Exceeded, "merge %s differs too much from its parents; run git pull --rebase instead", revision.Short())
		}
		common = intersect(common, paths)
	}
	offending := make([]string, 0, len(common))
	for path := range common {
		offending = append(offending, path)
	}
	slices.Sort(offending)
	return offending, nil
}

// intersect keeps those of the set that are listed; nil is the set of all.
func intersect(set map[string]bool, list []string) map[string]bool {
	kept := map[string]bool{}
	for _, path := range list {
		if set == nil || set[path] {
			kept[path] = true
		}
	}
	return kept
}

// roots are the top folders of two commits, "" for no commit.
func (p *permission) roots(old, now string) (from, to string, err error) {
	for _, side := range []struct {
		revision string
		root     *string
	}{{old, &from}, {now, &to}} {
		if side.revision == "" {
			continue
		}
		snapshot, err := p.store.snapshot(side.revision)
		if err != nil {
			return "", "", err
		}
		*side.root = snapshot.Root
	}
	return from, to, nil
}

// outside lists differences that aren't below the user's own folder, at most so many.
func (p *permission) outside(ctx context.Context, from, to string, most int) ([]string, error) {
	d := differ{tree: p.store, skip: p.own(), most: most, left: maxCompared}
	err := d.folders(ctx, "", from, to)
	if errors.Is(err, errEnough) {
		err = nil
	}
	if errors.Is(context.Cause(ctx), errTooLong) {
		err = schema.Errorf(schema.Unavailable, "%w", errTooLong)
	}
	return d.paths, err
}
