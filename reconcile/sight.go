package reconcile

import (
	"slices"
	"strings"

	"bayplan.dev/schema"
)

// span is the part of a list that belongs to one user.
type span struct {
	user     schema.User
	from, to int
}

// spansOf cuts statuses that are ordered by id into those of each user.
func spansOf(statuses []schema.ContainerStatus) []span {
	var spans []span
	for i, s := range statuses {
		user := s.ID.Space.User
		if n := len(spans); n == 0 || spans[n-1].user != user {
			spans = append(spans, span{user: user, from: i})
		}
		spans[len(spans)-1].to = i + 1
	}
	return spans
}

// frames are the first ones of a reader: the containers, the sync and the
// operations under way.
func (s snapshot) frames(visible func(schema.User) bool) []schema.Frame {
	statuses, view := s.seen(visible)
	sync := s.sync.frame(visible)
	sync.Seq = s.seq
	frames := []schema.Frame{{Type: schema.FrameContainers, Seq: s.seq, Data: statuses, View: view}, sync}
	for _, o := range s.operations {
		if visible == nil || visible(o.User) {
			frames = append(frames, schema.Frame{Type: schema.FrameOperation, Seq: s.seq, Data: o, View: o.ID})
		}
	}
	return frames
}

// seen are the statuses that a reader may see. The many readers of one user
// share a part of the whole list.
func (s snapshot) seen(visible func(schema.User) bool) (statuses []schema.ContainerStatus, view string) {
	if visible == nil {
		return s.containers, ""
	}
	spans := slices.DeleteFunc(slices.Clone(s.spans), func(p span) bool { return !visible(p.user) })
	names := make([]string, 0, len(spans))
	for _, p := range spans {
		names = append(names, string(p.user))
	}
	view = viewOf(names)
	if len(spans) == 1 {
		return s.containers[spans[0].from:spans[0].to:spans[0].to], view
	}
	statuses = []schema.ContainerStatus{}
	for _, p := range spans {
		statuses = append(statuses, s.containers[p.from:p.to]...)
	}
	return statuses, view
}

// viewOf names what readers see who see these users; never empty.
func viewOf(users []string) string { return "of " + strings.Join(users, " ") }

// scope is what a sync says of each user.
type scope struct {
	users    []string
	findings map[string]schema.Findings
	pending  map[string][]string
}

// newScope sorts findings and what is held back by the users whom they concern.
func newScope(s schema.SyncStatus) *scope {
	c := &scope{findings: map[string]schema.Findings{}, pending: map[string][]string{}}
	for _, f := range s.Findings {
		if user := ownerOf(f.File); user != "" {
			f.Related = slices.DeleteFunc(slices.Clone(f.Related), func(p schema.Position) bool { return ownerOf(p.File) != user })
			c.findings[user] = append(c.findings[user], f)
			c.users = append(c.users, user)
		}
	}
	for _, id := range s.Pending {
		user, _, _ := strings.Cut(id, "--")
		c.pending[user] = append(c.pending[user], id)
		c.users = append(c.users, user)
	}
	slices.Sort(c.users)
	c.users = slices.Compact(c.users)
	return c
}

// ownerOf is the user in whose folder the file lies, empty for the platform's.
func ownerOf(file string) string {
	rest, ok := strings.CutPrefix(file, "users/")
	if !ok {
		return ""
	}
	user, _, _ := strings.Cut(rest, "/")
	return user
}

// of is the sync as a reader may see it: state and counts, and in detail only
// what concerns the users that are visible.
func (c *scope) of(s schema.SyncStatus, visible func(schema.User) bool) (status schema.SyncStatus, view string) {
	if visible == nil {
		return s, ""
	}
	s.Findings, s.Pending = nil, nil
	var names []string
	for _, user := range c.users {
		if visible(schema.User(user)) {
			s.Findings = append(s.Findings, c.findings[user]...)
			s.Pending = append(s.Pending, c.pending[user]...)
			names = append(names, user)
		}
	}
	switch {
	case s.State == schema.SyncStale:
		s.Message = "the repository or the cluster doesn't answer; what runs stays as it is"
	case s.Reason == reasonFleetFrozen:
		s.Message = "nothing is applied or deleted until the operator has mended the platform's files"
	}
	return s, viewOf(names)
}
