package webhook

import (
	"context"
	"strings"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
	"bayplan.dev/webhook/mutation"
)

// userFor is whom something new is to belong to: the caller's user, or the one
// that an admin names. The user's folder need not exist yet.
func userFor(ctx context.Context, given schema.User) (schema.User, error) {
	caller, _ := auth.CallerOf(ctx)
	user := given
	if user == "" {
		user = caller.User
	}
	if user == "" {
		return "", invalidAt("/user", schema.Errorf(schema.Invalid, "whose is it to be? give a user"))
	}
	if !caller.Sees(user) {
		return "", schema.Errorf(schema.Forbidden, "user: only an admin makes something for somebody else")
	}
	if err := user.Validate(); err != nil {
		return "", invalidAt("/user", err)
	}
	return user, nil
}

// spaceFor is a space of the user as somebody names it: by its name or its id.
func spaceFor(user schema.User, given string) (schema.SpaceID, error) {
	id := schema.SpaceID{User: user, Name: given}
	if strings.Contains(given, "--") {
		parsed, err := schema.ParseSpaceID(given)
		if err != nil {
			return id, invalidAt("/space", err)
		}
		if parsed.User != user {
			return id, schema.Errorf(schema.NotFound, "there is no space %q", given)
		}
		id = parsed
	}
	if err := id.Validate(); err != nil {
		return id, invalidAt("/space", err)
	}
	return id, nil
}

// targetOf reads an id. What is no id doesn't exist, just like what is
// somebody else's.
func targetOf(ctx context.Context, kind schema.Kind, raw string) (mutation.Target, error) {
	target, err := mutation.ParseTarget(kind, raw)
	if err != nil || !sees(ctx, target.User) {
		return mutation.Target{}, schema.Errorf(schema.NotFound, "there is no %s %q", mutation.Target{Kind: kind}.Noun(), raw)
	}
	return target, nil
}

func (*API) containerTarget(ctx context.Context, raw string) (mutation.Target, error) {
	return targetOf(ctx, schema.KindContainer, raw)
}
