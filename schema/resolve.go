package schema

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// origin is what something was resolved from: the platform, the folder, and
// the keys that count.
type origin struct{ platform, folder, keys string }

// resolvedUser is what a user's tree means on a platform.
type resolvedUser struct {
	given    origin
	spaces   []*Space
	parts    map[string]*resolvedSpace // by name of the space
	keys     []*SSHKey
	findings Findings // of spaces and keys
}

// resolvedSpace is what a space means before its user's other spaces have had their say.
type resolvedSpace struct {
	given  origin
	space  *Space
	docs   map[*Container]*document
	disks  map[*Volume]*document
	issues []issue
	ruled  []issue // those that depend on the platform
}

// resolve gives every user's tree its meaning, in parallel. Users whose tree,
// platform and keys are unchanged keep theirs.
func (p *plan) resolve(ctx context.Context, users []*userTree, next *memory) error {
	for _, u := range users {
		if u.ring == nil {
			u.ring = newKeyRing(u.user, u.keys)
		}
	}
	shared := sharedKeys(users)
	results := make([]*resolvedUser, len(users))
	platform := next.platform.stamp()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, u := range users {
		given := origin{platform, u.hash, sharedStamp(shared[u.user])}
		var parts []map[string]*resolvedSpace
		for _, m := range p.earlier {
			old := m.resolved[u.user]
			switch {
			case old == nil:
			case old.given == given && results[i] == nil:
				results[i] = old
			default:
				parts = append(parts, old.parts)
			}
		}
		if results[i] != nil {
			continue
		}
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			r, err := resolveUser(p.tree, u, next.platform, shared[u.user], parts)
			if err != nil {
				return err
			}
			r.given = given
			results[i] = r
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, u := range users {
		next.resolved[u.user] = results[i]
	}
	return nil
}

// stamp identifies what the platform says to spaces.
func (p *platformTree) stamp() string {
	return fmt.Sprintf("%s %s %t ", p.platform.Digest, p.overlay.Hash, p.broken())
}

func sharedStamp(shared map[string]*SSHKey) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(shared)) {
		fmt.Fprintf(&b, " %s=%s", name, shared[name].Source)
	}
	return b.String()
}

func (ring *keyRing) stamp() string {
	var b strings.Builder
	for _, k := range ring.keys {
		b.WriteString(" " + k.key.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(ring.broken)) {
		b.WriteString(" !" + name)
	}
	return b.String()
}

func resolveUser(tree Tree, u *userTree, p *platformTree, shared map[string]*SSHKey, earlier []map[string]*resolvedSpace) (*resolvedUser, error) {
	r := &resolvedUser{parts: map[string]*resolvedSpace{}}
	issues := slices.Clone(u.ring.issues)
	for _, k := range u.ring.keys {
		r.keys = append(r.keys, k.key)
		holder := shared[k.key.Name]
		if holder == nil {
			continue
		}
		// No more than a warning: whoever copies a public key must not lock its
		// owner out, and each user's key opens that user's containers only.
		issues = append(issues, issue{doc: k.doc, path: fieldPath{"spec", "publicKey"}, Finding: Finding{
			Severity: SeverityWarning,
			Code:     "shared-key", Message: fmt.Sprintf("is a key of %s too", holder.User),
			Help: "give each person a key of their own", Related: []Position{holder.Source},
		}})
	}
	of := resolver{ring: u.ring, platform: p, given: origin{platform: p.stamp(), keys: u.ring.stamp()}, earlier: earlier}
	for _, s := range u.spaces {
		r.parts[s.id.Name] = of.space(s)
	}
	byUser := checkUser(u, r.parts, p)
	for _, s := range u.spaces {
		part := r.parts[s.id.Name]
		own := byUser[s.id.Name]
		space := part.space
		if len(own) > 0 && !space.Frozen && !p.broken() {
			space = space.freeze()
		}
		r.spaces = append(r.spaces, space)
		r.findings = append(r.findings, s.findings...)
		for _, f := range s.files {
			r.findings = append(r.findings, f.findings...)
		}
		issues = append(issues, part.issues...)
		// With a broken platform the rules that depend on it would cry wolf.
		if !p.broken() {
			issues = append(append(issues, part.ruled...), own...)
		}
	}
	for _, f := range u.keys {
		r.findings = append(r.findings, f.findings...)
	}
	found, err := settle(tree, issues)
	r.findings = append(r.findings, found...)
	return r, err
}

// resolver gives the spaces of one user their meaning.
type resolver struct {
	ring     *keyRing
	platform *platformTree
	given    origin // without the folder
	earlier  []map[string]*resolvedSpace
}

// space gives a space its meaning, or finds that an earlier load has done so.
func (r resolver) space(s *spaceTree) *resolvedSpace {
	given := r.given
	given.folder = s.hash
	for _, parts := range r.earlier {
		if old := parts[s.id.Name]; old != nil && old.given == given {
			return old
		}
	}
	c := &spaceCheck{
		tree: s, ring: r.ring, platform: &r.platform.platform.Spec, lists: r.platform.lists,
		names: map[Kind]map[string]*document{KindContainer: {}, KindVolume: {}, KindSpace: {}},
		out: &resolvedSpace{
			given: given,
			space: &Space{ID: s.id, Source: Position{File: s.id.Path()}},
			docs:  map[*Container]*document{}, disks: map[*Volume]*document{},
		},
	}
	c.run()
	c.out.space.Digest = c.out.space.digest(r.platform)
	return c.out
}
