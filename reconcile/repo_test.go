package reconcile

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"bayplan.dev/schema"
)

// files is what one commit holds: the content of each container's file.
// The content "broken" freezes its space.
type files map[schema.ContainerID]string

const broken = "broken"

// halt ends the content of a container that is applied as stopped.
const halt = " (stopped)"

// commit is one revision of the fake repository.
type commit struct {
	parent   int
	files    files
	frozen   bool // platform.yaml is broken
	trailers map[string][]string
}

// fakeRepo is a Source, Loader and Renderer over commits in memory.
type fakeRepo struct {
	mu      sync.Mutex
	commits []commit
	head    int
	fail    error
	// asked counts the questions for history, told the commits of the answers.
	asked, told int
	// spaces are those that were loaded: as with the real loader, one that hasn't
	// changed is the same in the next fleet.
	spaces map[string]*schema.Space
	loaded []int
	loads  int
}

func revision(n int) schema.Revision { return schema.Revision(fmt.Sprintf("%040x", n)) }

func number(r schema.Revision) int {
	var n int
	if _, err := fmt.Sscanf(string(r), "%x", &n); err != nil {
		return -1
	}
	return n
}

func newFakeRepo() *fakeRepo {
	return &fakeRepo{commits: []commit{{parent: -1}}, spaces: map[string]*schema.Space{}}
}

// commit adds a commit upon parent and makes it the head.
func (r *fakeRepo) commit(c commit) schema.Revision {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.files = maps.Clone(c.files)
	r.commits = append(r.commits, c)
	r.head = len(r.commits) - 1
	return revision(r.head)
}

// push commits upon the head.
func (r *fakeRepo) push(f files, trailers ...string) schema.Revision {
	c := commit{parent: r.at(), files: f, trailers: map[string][]string{}}
	for _, t := range trailers {
		key, value, _ := strings.Cut(t, ": ")
		c.trailers[key] = append(c.trailers[key], value)
	}
	return r.commit(c)
}

func (r *fakeRepo) at() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.head
}

func (r *fakeRepo) setFail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = err
}

func (r *fakeRepo) Head(context.Context) (schema.Snapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return schema.Snapshot{Revision: revision(r.head), Root: "/", Tree: fakeTree(r.commits[r.head].files)}, r.fail
}

func (r *fakeRepo) History(_ context.Context, from, to schema.Revision) (schema.History, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	var h schema.History
	for n := number(to); n >= 0; n = r.commits[n].parent {
		if revision(n) == from {
			h.Descends = true
			break
		}
		h.Commits = append(h.Commits, schema.Commit{Revision: revision(n), Trailers: r.commits[n].trailers})
	}
	r.told += len(h.Commits)
	return h, r.fail
}

func (r *fakeRepo) Load(_ context.Context, s schema.Snapshot) (*schema.Fleet, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := number(s.Revision)
	r.loaded = append(r.loaded, n)
	r.loads++
	f := load(r.commits[n], s.Revision)
	for id, space := range f.Spaces.All() {
		key := fmt.Sprintf("%s %t %s", id, space.Frozen, space.Digest)
		if r.spaces[key] == nil {
			r.spaces[key] = space
		}
		f.Spaces.Put(r.spaces[key])
	}
	return f, r.fail
}

func load(c commit, rev schema.Revision) *schema.Fleet {
	f := &schema.Fleet{Revision: rev, Platform: &schema.Platform{}, Spaces: schema.Spaces{}, Frozen: c.frozen}
	if c.frozen {
		f.Findings = append(f.Findings, schema.Finding{
			Position: schema.Position{File: "platform.yaml", Line: 3}, Severity: schema.SeverityError, Code: "unknown-field", Message: "unknown",
		})
	}
	for _, id := range sorted(c.files) {
		space := f.Spaces.Get(id.Space)
		if space == nil {
			space = &schema.Space{ID: id.Space}
			f.Spaces.Put(space)
		}
		file := id.Space.Path() + "/" + id.Name + ".yaml"
		space.Containers = append(space.Containers, &schema.Container{
			ID: id, Hash: c.files[id], Spec: specOf(c.files[id]), Source: schema.Position{File: file, Line: 1},
		})
		space.Digest += id.Name + "=" + c.files[id] + ";"
		if c.files[id] == broken {
			space.Frozen = true
			f.Findings = append(f.Findings, schema.Finding{
				Position: schema.Position{File: file, Line: 7, Column: 2}, Severity: schema.SeverityError, Code: "bad-quantity", Message: "is not a quantity",
			})
		}
	}
	return f
}

// specOf reads what a content says beyond its name, as in
// "v1 state=Stopped expiresAt=2000-01-01T01:00:00Z expirePolicy=Delete".
func specOf(content string) schema.ContainerSpec {
	var s schema.ContainerSpec
	for word := range strings.FieldsSeq(content) {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "state":
			s.State = schema.State(value)
		case "expiresAt":
			at, err := time.Parse(time.RFC3339, value)
			if err != nil {
				panic(err)
			}
			s.ExpiresAt = &at
		case "expirePolicy":
			s.ExpirePolicy = schema.ExpirePolicy(value)
		}
	}
	return s
}

// snapshotAt is commit n, whose trees and files are named by their content.
func (r *fakeRepo) snapshotAt(_ context.Context, rev schema.Revision) (schema.Snapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := number(rev)
	if n < 0 || n >= len(r.commits) {
		return schema.Snapshot{}, schema.Errorf(schema.NotFound, "no revision %s", rev)
	}
	return schema.Snapshot{Revision: rev, Root: "/", Tree: fakeTree(maps.Clone(r.commits[n].files))}, r.fail
}

// fakeTree is a schema.Tree in which a folder's hash is its path.
type fakeTree files

func (f fakeTree) Entries(hash string) ([]schema.Entry, error) {
	seen := map[string]schema.Entry{}
	for id, content := range f {
		path := "/" + id.Space.Path() + "/" + id.Name + ".yaml"
		if rest, ok := strings.CutPrefix(path, hash); ok {
			name, _, folder := strings.Cut(rest, "/")
			e := schema.Entry{Name: name, Hash: content, Mode: schema.ModeFile}
			if folder {
				e.Hash, e.Mode = hash+name+"/", schema.ModeFolder
			}
			seen[name] = e
		}
	}
	return slices.Collect(maps.Values(seen)), nil
}

// Blob says the same for contents that differ only after a #.
func (f fakeTree) Blob(hash string, _ int64) ([]byte, error) {
	said, _, _ := strings.Cut(hash, "#")
	var b strings.Builder
	for id := range f {
		fmt.Fprintf(&b, "---\nkind: Container\nmetadata: {name: %s}\nspec: {image: %s}\n", id.Name, said)
	}
	return []byte(b.String()), nil
}

func sorted(f files) []schema.ContainerID {
	return slices.SortedFunc(maps.Keys(f), func(a, b schema.ContainerID) int { return strings.Compare(a.String(), b.String()) })
}

func (r *fakeRepo) Space(f *schema.Fleet, id schema.SpaceID) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for _, c := range f.Spaces.Get(id).Containers {
		if c.Hash == "unrenderable" {
			return nil, schema.Errorf(schema.Invalid, "the overlay refuses %s", c.ID)
		}
		content := c.Hash
		if c.Spec.State == schema.StateStopped {
			content += halt
		}
		o := &unstructured.Unstructured{Object: map[string]any{"content": content}}
		o.SetName(c.ID.Name)
		objects = append(objects, o)
	}
	return objects, nil
}
