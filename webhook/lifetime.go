package webhook

import (
	"context"
	"sync"
	"time"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/mutation"
)

// maxTTL is longer than any container needs; what is to stay has no ttl.
const maxTTL = 10 * 365 * 24 * time.Hour

// now is the server's clock as Git has it: UTC, whole seconds.
func (a *API) now() time.Time {
	now := time.Now
	if a.opts.Now != nil {
		now = a.opts.Now
	}
	return now().UTC().Truncate(time.Second)
}

// expiry turns a ttl into the absolute time that the file says, in spec, and
// returns the time.
func (a *API) expiry(spec map[string]any, ttl string) (time.Time, error) {
	if ttl == "" {
		return time.Time{}, nil
	}
	if _, both := spec["expiresAt"]; both {
		return time.Time{}, invalidAt("/ttl", schema.Errorf(schema.Invalid, "give ttl or spec.expiresAt, not both"))
	}
	d, err := time.ParseDuration(ttl)
	if err != nil || d < time.Second || d > maxTTL {
		return time.Time{}, invalidAt("/ttl", schema.Errorf(schema.Invalid, "%.30q must be a duration from 1s to %s, such as 8h", ttl, maxTTL))
	}
	at := a.now().Add(d).Truncate(time.Second)
	spec["expiresAt"] = at.Format(time.RFC3339)
	return at, nil
}

// withinLifetime holds the expiresAt that an edit writes against the platform's
// limit for the user, as the tree has it that the edit is made on.
func (a *API) withinLifetime(ctx context.Context, user schema.User, spec map[string]any, edit mutation.Edit) mutation.Edit {
	text, ok := spec["expiresAt"].(string)
	at, err := time.Parse(time.RFC3339, text)
	if !ok || err != nil || a.opts.Load == nil {
		return edit // what is no time is a finding of the check
	}
	return func(t Tree) (mutation.Outcome, error) {
		limits, err := a.platforms.limitsOf(ctx, t)
		if err != nil {
			return mutation.Outcome{}, err
		}
		if latest, limited := limits.Horizon(user, a.now()); limited && at.After(latest) {
			return mutation.Outcome{}, schema.Errorf(schema.Exceeded, "spec.expiresAt: the platform's limit for %s is %s from now, that is %s",
				user, limits.Of(user).Lifetime, latest.Format(time.RFC3339))
		}
		return edit(t)
	}
}

// platforms remembers what the last platform.yaml says, since most edits are
// made on a tree that has the same.
type platforms struct {
	load func(context.Context, schema.Snapshot) (*schema.Fleet, error)

	mu     sync.Mutex
	hash   string
	limits schema.Limits
}

const noPlatform = "none"

// limitsOf are the limits of the platform that the edit is made on.
func (p *platforms) limitsOf(ctx context.Context, t Tree) (schema.Limits, error) {
	hash := noPlatform
	e, err := t.Stat(schema.CanonicalPath(schema.KindPlatform, "", "", ""))
	switch {
	case err == nil:
		hash = e.Hash
	case schema.CodeOf(err) != schema.NotFound:
		return schema.Limits{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hash != hash {
		fleet, err := p.load(ctx, t.Base())
		if err != nil {
			return schema.Limits{}, err
		}
		p.hash, p.limits = hash, fleet.Platform.Spec.Limits
	}
	return p.limits, nil
}
