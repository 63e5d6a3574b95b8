package schema

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// shortestLifetime is the least that the platform can limit lifetimes to.
const shortestLifetime = time.Minute

// Expired says whether the container's time has come at that moment.
func (c *Container) Expired(now time.Time) bool {
	return c.Spec.ExpiresAt != nil && !now.Before(*c.Spec.ExpiresAt)
}

// Horizon is the latest time at which a container of the user may expire when
// its expiresAt is written now; limited is false when there is none.
func (l Limits) Horizon(u User, now time.Time) (latest time.Time, limited bool) {
	lifetime := l.Of(u).Lifetime
	if lifetime == "" {
		return time.Time{}, false
	}
	d, err := time.ParseDuration(lifetime)
	if err != nil {
		return time.Time{}, false // reported when the file was read
	}
	return now.Add(d), true
}

// Lifetimes returns a finding for every container that is new in the second
// fleet, or expires at another time than in the first, and may not live as long
// as that says from now on. It is no rule of Load, because a tree doesn't tell
// when it was written, and the same tree must mean the same tomorrow. Either
// fleet may be nil, which is an empty one.
func Lifetimes(from, to *Fleet, now time.Time) Findings {
	var findings Findings
	if to == nil {
		return nil
	}
	var before Spaces
	if from != nil {
		before = from.Spaces
	}
	for id, space := range to.Spaces.Changed(before) {
		latest, limited := to.Platform.Spec.Limits.Horizon(id.User, now)
		if !limited {
			continue
		}
		for _, c := range space.Containers {
			if from != nil && sameExpiry(from.Container(c.ID), c) {
				continue
			}
			if f := c.overdue(latest); f != nil {
				findings = append(findings, *f)
			}
		}
	}
	findings.Sort()
	return findings
}

func sameExpiry(a, b *Container) bool {
	if a == nil {
		return false
	}
	one, other := a.Spec.ExpiresAt, b.Spec.ExpiresAt
	return one == nil && other == nil || one != nil && other != nil && one.Equal(*other)
}

// overdue is the finding on a container that would live beyond the latest time.
func (c *Container) overdue(latest time.Time) *Finding {
	bound := latest.UTC().Format(time.RFC3339)
	f := Finding{
		Position: c.Source, Severity: SeverityError, Code: "lifetime", Path: "spec.expiresAt",
		Help: "write expiresAt: " + bound + " or earlier",
	}
	switch {
	case c.Spec.ExpiresAt == nil:
		f.Message = "is missing, and the platform limits how long a container lives"
	case c.Spec.ExpiresAt.After(latest):
		f.Message = fmt.Sprintf("%s is later than the platform allows now, %s", c.Spec.ExpiresAt.Format(time.RFC3339), bound)
	default:
		return nil
	}
	return &f
}

// each calls f with every limit and its place.
func (l Limits) each(f func(path fieldPath, limit Limit)) {
	path := fieldPath{"spec", "limits"}
	f(path.with("default"), l.Default)
	for _, user := range slices.Sorted(maps.Keys(l.Users)) {
		f(path.with("users", string(user)), l.Users[user])
	}
}

// expiry wants a time for what happens at it.
func (c *containerCheck) expiry() {
	if c.spec.ExpirePolicy != "" && c.spec.ExpiresAt == nil {
		c.report(fieldPath{"spec", "expirePolicy"}, Finding{
			Severity: SeverityWarning, Code: "no-effect", Message: "has no effect without expiresAt",
			Help: "add expiresAt, or remove it",
		})
	}
}
