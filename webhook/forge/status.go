package forge

import (
	"context"
	"net/url"
	"strings"
	"unicode"

	"bayplan.dev/schema"
)

// maxDescription is what GitHub takes, in characters.
const maxDescription = 140

// StatusState says how a check of a commit went.
type StatusState string

// The states. Where a forge has one for both, StateError is a failure.
const (
	StatePending StatusState = "pending"
	StateSuccess StatusState = "success"
	StateFailure StatusState = "failure"
	StateError   StatusState = "error"
)

// Status is one check of a commit.
type Status struct {
	// Context names the check.
	Context string
	State   StatusState
	// Description is one line; 140 characters of it are kept.
	Description string
	// URL is the page that tells more, http or https; others are left out.
	URL string
}

// tidy is the status as a forge takes it.
func (s Status) tidy() Status {
	s.Description = line(s.Description, maxDescription)
	if u, err := url.Parse(s.URL); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		s.URL = ""
	}
	return s
}

// line is text in one line of at most so many characters.
func line(text string, most int) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "?"), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	if runes := []rune(text); len(runes) > most {
		text = strings.TrimSpace(string(runes[:most-1])) + "…"
	}
	return text
}

// SetStatus writes a commit's status, unless it is so already. GitLab's commit
// must be in the project itself; of a fork it is as soon as it has a merge
// request, whose page may not show it. Errors: Invalid for a status that no forge
// has; NotFound for a commit that this one doesn't have; Conflict while somebody
// else writes it; else those of Open.
func (f *Forge) SetStatus(ctx context.Context, commit schema.Revision, s Status) error {
	switch s.State {
	case StatePending, StateSuccess, StateFailure, StateError:
	default:
		return schema.Errorf(schema.Invalid, "forge: status %q is none of pending, success, failure and error", s.State)
	}
	s = s.tidy()
	now, ok, err := f.Status(ctx, commit, s.Context)
	if err != nil {
		return err
	}
	if ok && now == f.pulls.says(s) {
		return nil
	}
	return f.pulls.setStatus(ctx, commit, s)
}

// Status is the newest status of a commit by its context, false when there is
// none among the first hundred. Errors are those of SetStatus.
func (f *Forge) Status(ctx context.Context, commit schema.Revision, name string) (Status, bool, error) {
	if !validRevision(commit) || name == "" {
		return Status{}, false, schema.Errorf(schema.Invalid, "forge: a status needs a context and a whole commit hash, got %q and %q", name, commit)
	}
	return f.pulls.status(ctx, commit, name)
}
