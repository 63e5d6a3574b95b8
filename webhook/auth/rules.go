package auth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"sigs.k8s.io/yaml"

	"bayplan.dev/schema"
)

// maxFile bounds the operator's file, in bytes.
const maxFile = 1 << 20

// document is the operator's file.
type document struct {
	Apps    []App        `json:"apps,omitempty"`
	Revoked []Revocation `json:"revoked,omitempty"`
}

// Revocation takes tokens back: one, or all of an actor, user or app (an
// issuer's by its name) that were made until Before; all for ever when zero.
// Exactly one of the first four is given.
type Revocation struct {
	Actor  string      `json:"actor,omitempty"`
	User   schema.User `json:"user,omitempty"`
	App    string      `json:"app,omitempty"`
	Token  string      `json:"token,omitempty"`
	Before time.Time   `json:"before,omitzero"`
}

// rules are what the file says, ready to be asked. They never change.
type rules struct {
	apps    map[string]*app
	revoked map[revoked]time.Time // until when; zero is for ever
}

// revoked is what a revocation names.
type revoked struct{ what, name string }

const (
	revokedActor = "actor"
	revokedUser  = "user"
	revokedApp   = "app"
	revokedToken = "token"
)

// readRules reads the operator's file; none named means no apps.
func readRules(file string) (*rules, []byte, error) {
	if file == "" {
		return &rules{}, nil, nil
	}
	f, err := os.Open(file) //nolint:gosec // the operator named the file
	if err != nil {
		return nil, nil, schema.Errorf(schema.Invalid, "read apps: %w", err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, nil, schema.Errorf(schema.Invalid, "read apps: %w", err)
	}
	r, err := parseRules(text)
	if err != nil {
		return nil, text, schema.Errorf(schema.Invalid, "apps in %s: %w", file, err)
	}
	return r, text, nil
}

// parseRules says everything that is wrong with a file.
func parseRules(text []byte) (*rules, error) {
	if len(text) > maxFile {
		return nil, schema.Errorf(schema.Invalid, "the file has more than %d bytes", maxFile)
	}
	var d document
	// A Secret that is being filled is empty for a moment; taking that for "no
	// apps" would lock everybody out.
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, schema.Errorf(schema.Invalid, "the file is empty; write apps: [] for none")
	}
	if err := yaml.UnmarshalStrict(text, &d); err != nil {
		return nil, schema.Errorf(schema.Invalid, "%w", err)
	}
	r := &rules{apps: map[string]*app{}, revoked: map[revoked]time.Time{}}
	errs := []error{r.addApps(d.Apps)}
	for i, v := range d.Revoked {
		if err := r.revoke(v); err != nil {
			errs = append(errs, schema.Errorf(schema.Invalid, "revoked[%d]: %w", i, err))
		}
	}
	return r, errors.Join(errs...)
}

// addApps keeps the names of all apps' users apart: when a and a-b were both
// apps, a-b-c could be a user of either.
func (r *rules) addApps(apps []App) error {
	var errs []error
	for _, v := range apps {
		a, err := v.build()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if r.apps[a.name] != nil {
			errs = append(errs, schema.Errorf(schema.Invalid, "app %s is there twice", a.name))
		}
		r.apps[a.name] = a
	}
	for _, name := range slices.Sorted(maps.Keys(r.apps)) {
		if holder, held := r.holder(schema.User(name)); held {
			errs = append(errs, schema.Errorf(schema.Invalid, "app %s: its users could be those of the app %s; rename one of them", name, holder))
		}
		for _, u := range r.apps[name].users {
			if holder, held := r.holder(u); held {
				errs = append(errs, schema.Errorf(schema.Invalid, "app %s: platformUsers: %s is a user of the app %s", name, u, holder))
			}
		}
	}
	return errors.Join(errs...)
}

func (r *rules) revoke(v Revocation) error {
	var given []revoked
	for _, k := range []revoked{
		{revokedActor, v.Actor},
		{revokedUser, string(v.User)},
		{revokedApp, v.App},
		{revokedToken, v.Token},
	} {
		if k.name != "" {
			given = append(given, k)
		}
	}
	if len(given) != 1 {
		return schema.Errorf(schema.Invalid, "must have exactly one of actor, user, app, token")
	}
	until, known := r.revoked[given[0]]
	if !known || v.Before.IsZero() || !until.IsZero() && v.Before.After(until) {
		r.revoked[given[0]] = v.Before
	}
	return nil
}

// holder is the app whose own user u is.
func (r *rules) holder(u schema.User) (string, bool) {
	for i := range u {
		if u[i] != '-' {
			continue
		}
		if _, ok := r.apps[string(u[:i])]; ok {
			return string(u[:i]), true
		}
	}
	return "", false
}

// allows returns why the caller may not call any more, or nil. issued is true
// when an issuer, not an app, vouches for it.
func (r *rules) allows(c Caller, issued bool) error {
	subject, source := c.source()
	for _, k := range []revoked{
		{revokedActor, c.Actor},
		{revokedUser, string(c.own())},
		{revokedApp, source},
		{revokedToken, c.Token},
	} {
		if until, ok := r.revoked[k]; ok && (until.IsZero() || !c.Issued.After(until)) {
			return denied("the token was revoked")
		}
	}
	if issued {
		if holder, held := r.holder(c.own()); held {
			return denied("user %s belongs to the app %s", c.own(), holder)
		}
		return nil
	}
	a := r.apps[source]
	if a == nil {
		return denied("the token's app isn't known any more")
	}
	if u, err := a.userOf(subject, r); err != nil || u != c.own() {
		return denied("the token's app doesn't speak for its user any more")
	}
	for _, s := range c.Scopes {
		if !a.scopes.Has(s) {
			return denied("the token's app hasn't the scope %s any more", s)
		}
	}
	return nil
}

// ErrDenied is in the tree of every error about credentials that are wrong,
// have ended or were taken back.
var ErrDenied = errors.New("credentials not accepted")

// refusal is an ErrDenied in words that the caller may read.
type refusal string

func (r refusal) Error() string { return string(r) }

func (refusal) Is(target error) bool { return target == ErrDenied }

func denied(format string, args ...any) error {
	return refusal(fmt.Sprintf(format, args...))
}
