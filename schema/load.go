package schema

import (
	"context"
	"fmt"
	"path"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// batch is how many files one reader reads: its CUE context only grows, so it is dropped then.
const batch = 500

// Loader turns snapshots into fleets. It remembers what the last two loads have
// read, by hash, so that a load costs what has changed. It is safe for
// concurrent use; loads wait for each other.
type Loader struct {
	turn   chan struct{}
	recent []*memory
	shelf  *shelf
	defs   *definitions
	err    error // of the embedded definitions
}

// NewLoader returns a Loader with an empty memory.
func NewLoader() *Loader {
	defs, err := compile()
	return &Loader{turn: make(chan struct{}, 1), shelf: &shelf{}, defs: defs, err: err}
}

// Beside returns a Loader with a memory of its own that also takes what l has
// read, as l takes what it has. What both remember is held once.
func (l *Loader) Beside() *Loader {
	return &Loader{turn: make(chan struct{}, 1), shelf: l.shelf, defs: l.defs, err: l.err}
}

// Load reads the whole snapshot, whose fleet is shared with those who load the
// same revision, by a loader beside this one too. Whatever is wrong with its
// content becomes a finding; an error means that the content could not be read,
// and leaves the memory as it was.
func (l *Loader) Load(ctx context.Context, s Snapshot) (*Fleet, error) {
	if l.err != nil {
		return nil, Errorf(Internal, "load %s: %w", s.Revision.Short(), l.err)
	}
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	earlier := l.shelf.earlier(l)
	for _, m := range earlier {
		if s.Revision != "" && m.fleet.Revision == s.Revision && m.root == s.Root {
			l.keep(m)
			return m.fleet, nil
		}
	}
	next := newMemory(earlier)
	fleet, err := l.load(ctx, s, next, earlier)
	if err != nil {
		return nil, fmt.Errorf("load revision %s: %w", s.Revision.Short(), err)
	}
	next.fleet, next.root = fleet, s.Root
	l.keep(next)
	return fleet, nil
}

// keep remembers what was loaded last, and what before.
func (l *Loader) keep(m *memory) {
	if slices.Contains(l.recent, m) {
		return
	}
	l.recent = append([]*memory{m}, l.recent...)
	l.recent = l.recent[:min(len(l.recent), 2)]
	l.shelf.put(l, l.recent)
}

func (l *Loader) load(ctx context.Context, s Snapshot, next *memory, earlier []*memory) (*Fleet, error) {
	p := &plan{tree: s.Tree, earlier: earlier, lists: &l.shelf.lists}
	top := folder{}
	var err error
	if s.Root != "" {
		if top, err = readFolder(s.Tree, "", s.Root); err != nil {
			return nil, err
		}
	}
	if next.platform, err = p.platform(&top); err != nil {
		return nil, err
	}
	fleet := &Fleet{Revision: s.Revision, Keys: map[User][]*SSHKey{}}
	fleet.takeTop(&top)
	users, err := p.users(ctx, fleet, &top)
	if err != nil {
		return nil, err
	}
	if err := l.read(ctx, s.Tree, p.tasks); err != nil {
		return nil, err
	}
	if err := next.platform.finish(s.Tree); err != nil {
		return nil, err
	}
	for _, u := range users {
		next.keep(u)
	}
	if err := p.resolve(ctx, users, next); err != nil {
		return nil, err
	}
	fleet.assemble(users, next)
	return fleet, nil
}

// takeTop keeps the findings of the top folder. One that stands where users or
// the platform should be concerns everybody.
func (f *Fleet) takeTop(top *folder) {
	for _, finding := range top.findings {
		if finding.File == usersFolder || finding.File == platformFolder || finding.File == platformFile || finding.Code == "too-many" {
			f.Frozen = true
		}
		f.Findings = append(f.Findings, finding)
	}
}

// users lists the trees of all users in order.
func (p *plan) users(ctx context.Context, fleet *Fleet, top *folder) ([]*userTree, error) {
	i := slices.IndexFunc(top.folders, func(e Entry) bool { return e.Name == usersFolder })
	if i < 0 {
		return nil, nil
	}
	all, err := readFolder(p.tree, usersFolder, top.folders[i].Hash)
	if err != nil {
		return nil, err
	}
	for _, e := range all.documents() {
		all.report(path.Join(usersFolder, e.Name), "misplaced-file", "documents lie in the folder of a user", "move it to users/<user>/<space>/")
	}
	var users []*userTree
	for _, e := range all.folders {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if e.Name[0] == '.' {
			continue
		}
		user := User(e.Name)
		if err := user.Validate(); err != nil {
			all.report(path.Join(usersFolder, e.Name), "bad-name", sentence(err.Error()), "use lower-case letters, digits and single hyphens")
			continue
		}
		u, err := p.user(user, e.Hash)
		if err != nil {
			return nil, err
		}
		users = append(users, u)
	}
	fleet.Findings = append(fleet.Findings, all.findings...)
	slices.SortFunc(users, func(a, b *userTree) int { return strings.Compare(string(a.user), string(b.user)) })
	return users, nil
}

// read reads all files that no earlier load has read.
func (l *Loader) read(ctx context.Context, tree Tree, tasks []task) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	// Small chunks share the work evenly, large ones share what CUE has said.
	size := min(batch, len(tasks)/runtime.GOMAXPROCS(0)+1)
	for chunk := range slices.Chunk(tasks, size) {
		group.Go(func() error {
			r := newReader(l.defs)
			r.lists = &l.shelf.lists
			for _, t := range chunk {
				if err := ctx.Err(); err != nil {
					return err
				}
				data, err := tree.Blob(t.hash, maxFileSize)
				switch {
				case CodeOf(err) == Exceeded:
					*t.slot = &file{path: t.path, hash: t.hash, findings: Findings{tooLarge(t.path)}}
				case err != nil:
					return fmt.Errorf("read %s: %w", t.path, err)
				default:
					*t.slot = r.readFile(t.path, t.hash, data)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// assemble puts the fleet together from what was resolved.
func (f *Fleet) assemble(users []*userTree, m *memory) {
	f.Platform, f.Overlay = m.platform.platform, m.platform.overlay
	f.Findings = append(f.Findings, m.platform.findings...)
	f.Frozen = f.Frozen || m.platform.broken()
	f.Spaces = make(Spaces, len(users))
	for _, u := range users {
		r := m.resolved[u.user]
		f.Findings = append(f.Findings, u.findings...)
		f.Findings = append(f.Findings, r.findings...)
		if len(r.keys) > 0 {
			f.Keys[u.user] = r.keys
		}
		spaces := r.spaces
		if f.Frozen {
			spaces = frozen(spaces)
		}
		if len(spaces) > 0 {
			f.Spaces[u.user] = spaces
		}
	}
	f.Findings.Sort()
}

// frozen are the spaces, each of them frozen.
func frozen(spaces []*Space) []*Space {
	spaces = slices.Clone(spaces)
	for i, s := range spaces {
		if !s.Frozen {
			spaces[i] = s.freeze()
		}
	}
	return spaces
}

// freeze returns a frozen copy.
func (s *Space) freeze() *Space {
	frozen := *s
	frozen.Frozen = true
	return &frozen
}
