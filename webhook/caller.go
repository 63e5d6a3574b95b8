package webhook

import (
	"context"
	"slices"
	"strings"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
)

// sees reports whether what is this user's exists for the caller of the
// request. Without a caller nothing does.
func sees(ctx context.Context, u schema.User) bool {
	c, _ := auth.CallerOf(ctx)
	return c.Sees(u)
}

// visibleSync is the status without what is somebody else's.
func visibleSync(c auth.Caller, s schema.SyncStatus) schema.SyncStatus {
	if seesAll(c) {
		return s
	}
	s.Findings = visibleFindings(c, s.Findings)
	s.Pending = slices.DeleteFunc(slices.Clone(s.Pending), func(id string) bool {
		user, _, _ := strings.Cut(id, "--")
		return !c.Sees(schema.User(user))
	})
	// The message quotes a finding, which may be anybody's, or an error of the
	// repository, which is the operator's business.
	switch {
	case s.State == schema.SyncStale:
		s.Message = "the repository can't be read; what was synced last stays"
	case s.Reason == "FleetFrozen":
		s.Message = "a file that concerns every space has findings; nothing is applied or deleted until it is mended"
	}
	return s
}

// visibleFindings are those in the caller's own files.
func visibleFindings(c auth.Caller, findings []schema.Finding) []schema.Finding {
	if seesAll(c) {
		return findings
	}
	var own []schema.Finding
	for _, f := range findings {
		if !c.Sees(ownerOf(f.File)) {
			continue
		}
		foreign := func(p schema.Position) bool { return !c.Sees(ownerOf(p.File)) }
		if slices.ContainsFunc(f.Related, foreign) {
			f.Related = slices.DeleteFunc(slices.Clone(f.Related), foreign)
			f.Message = "clashes with what another user has"
		}
		own = append(own, f)
	}
	return own
}

// seesAll reports whether nothing needs to be held back.
func seesAll(c auth.Caller) bool { return c.Sees("") }

// ownerOf is the user in whose folder a file is; empty for the platform's.
func ownerOf(file string) schema.User {
	rest, ok := strings.CutPrefix(file, "users/")
	if !ok {
		return ""
	}
	user, _, _ := strings.Cut(rest, "/")
	return schema.User(user)
}
