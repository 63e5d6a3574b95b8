package reconcile

import "bayplan.dev/schema"

// rememberedCommits bounds the commits that are known to be followed.
const rememberedCommits = 16 << 10

// lineage knows commits that the followed revision descends from. What it
// doesn't know may be one too. It is not safe for concurrent use.
type lineage struct {
	head  schema.Revision
	known map[schema.Revision]struct{}
	// order is a ring of those known, next where the oldest is.
	order []schema.Revision
	next  int
}

func newLineage() lineage { return lineage{known: map[schema.Revision]struct{}{}} }

func (l *lineage) has(r schema.Revision) bool {
	_, ok := l.known[r]
	return ok
}

func (l *lineage) add(r schema.Revision) {
	if r == "" || l.has(r) {
		return
	}
	l.known[r] = struct{}{}
	if len(l.order) < rememberedCommits {
		l.order = append(l.order, r)
		return
	}
	delete(l.known, l.order[l.next])
	l.order[l.next] = r
	l.next = (l.next + 1) % rememberedCommits
}

// follow takes over what a plan's question has found out about its revision.
// It says whether the revision is known to descend from the one before.
func (l *lineage) follow(q question) (descends bool) {
	before := l.head
	descends = before == "" || before == q.head || before == q.base && q.history.Descends
	for _, c := range q.history.Commits {
		descends = descends || c.Revision == before
	}
	if !descends {
		*l = newLineage()
	}
	if l.head = q.head; q.history.Descends {
		l.add(q.base)
	}
	for _, c := range q.history.Commits {
		l.add(c.Revision)
	}
	l.add(q.head)
	return descends
}
