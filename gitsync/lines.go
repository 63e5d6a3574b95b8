package gitsync

import (
	"hash/fnv"
	"slices"
	"strings"
	"sync"

	"bayplan.dev/schema"
)

const (
	// maxLines is how many commits lines knows, at about a hundred bytes each.
	maxLines = 200_000
	// maxSums is how many paths of one commit are kept.
	maxSums = 48
)

// lines remembers of commits what they changed, because the question which ones
// changed a file is asked of the same commits again and again.
type lines struct {
	mu    sync.Mutex
	known map[commitID]commitChanges
}

// commitChanges are the paths in which a commit differs from its only parent,
// with all folders above them, as sums.
type commitChanges struct {
	parent commitID // zero for a first commit
	sums   []uint32
	// many says that there are too many to keep.
	many bool
	// merge says that there are several parents; nothing else is known then.
	merge bool
}

func (c *commitChanges) before() string {
	if c.parent == (commitID{}) {
		return ""
	}
	return c.parent.String()
}

func (c *commitChanges) touches(sums []uint32) bool {
	return slices.ContainsFunc(sums, func(sum uint32) bool { return slices.Contains(c.sums, sum) })
}

func (l *lines) get(hash string) (commitChanges, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.known[newCommitID(schema.Revision(hash))]
	return c, ok
}

// put forgets all when there is no room: what is asked for is soon known again.
func (l *lines) put(hash string, c commitChanges) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil || len(l.known) >= maxLines {
		l.known = map[commitID]commitChanges{}
	}
	l.known[newCommitID(schema.Revision(hash))] = c
}

func pathSum(path string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(path)) // never fails
	return h.Sum32()
}

// changes compares a commit with its parent: only folders that differ are read.
func (s *store) changes(hash string) (commitChanges, error) {
	r, err := s.revision(hash)
	if err != nil {
		return commitChanges{}, s.unreadable(err)
	}
	if len(r.parents) > 1 {
		return commitChanges{merge: true}, nil
	}
	var c commitChanges
	from := emptyTree
	if len(r.parents) == 1 {
		c.parent = newCommitID(schema.Revision(r.parents[0]))
		parent, err := s.revision(r.parents[0])
		if err != nil {
			return commitChanges{}, s.unreadable(err)
		}
		from = parent.tree
	}
	d := treeDiff{store: s}
	if err := d.folders("", from, r.tree); err != nil {
		return commitChanges{}, err
	}
	if c.many = d.many; !c.many {
		c.sums = slices.Clip(d.sums)
	}
	return c, nil
}

// treeDiff collects the sums of what differs.
type treeDiff struct {
	store *store
	sums  []uint32
	many  bool
}

func (d *treeDiff) folders(path, a, b string) error {
	if a == b || d.many {
		return nil
	}
	if strings.Count(path, "/") > maxDepth {
		d.many = true
		return nil
	}
	old, err := d.content(a)
	if err != nil {
		return err
	}
	now, err := d.content(b)
	if err != nil {
		return err
	}
	return diffTrees(old, now, func(x, y rawEntry) error {
		if len(d.sums) == maxSums {
			d.many = true
		}
		if d.many {
			return nil
		}
		name := path + string(x.name)
		if x.name == nil {
			name = path + string(y.name)
		}
		d.sums = append(d.sums, pathSum(name))
		return d.folders(name+"/", x.folder(), y.folder())
	})
}

func (d *treeDiff) content(hash string) ([]byte, error) {
	if hash == "" || hash == emptyTree {
		return nil, nil
	}
	return d.store.treeContent(hash)
}
