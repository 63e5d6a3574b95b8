package mutation

import (
	"reflect"
	"time"

	"bayplan.dev/schema"
)

// Rollback gives a document the spec that it had at another revision, and makes
// it again when it is gone. Time isn't turned back: when a container expires
// stays as it is, and one that is gone and would have expired by now is Invalid.
func Rollback(target Target, then schema.Snapshot, now time.Time, expect Expect) Edit {
	return func(t Tree) (Outcome, error) {
		old, err := find(snapshot(then), target)
		if schema.CodeOf(err) == schema.NotFound {
			return Outcome{}, schema.Errorf(schema.Invalid, "revision %s has no %s %q", then.Revision.Short(), target.Noun(), target)
		}
		if err != nil {
			return Outcome{}, err
		}
		found, _, err := expected(t, target, expect)
		if err == nil {
			return Change(target, func(map[string]any) (map[string]any, error) { return difference(found.spec, old.spec), nil }, nil)(t)
		}
		if schema.CodeOf(err) != schema.NotFound {
			return Outcome{}, err
		}
		if err := unexpired(old.spec, now); err != nil {
			return Outcome{}, err
		}
		return create(t, target, old.spec)
	}
}

func unexpired(spec map[string]any, now time.Time) error {
	text, _ := spec["expiresAt"].(string)
	at, err := time.Parse(time.RFC3339, text)
	if err == nil && !at.After(now) {
		return schema.Errorf(schema.Invalid, "it would have expired at %s; create it anew", at.UTC().Format(time.RFC3339))
	}
	return nil
}

// difference is the merge patch that leads from one spec to another, but for
// when it expires.
func difference(now, then map[string]any) map[string]any {
	patch := diff(now, then)
	delete(patch, "expiresAt")
	delete(patch, "expirePolicy")
	return patch
}

func diff(now, then map[string]any) map[string]any {
	patch := map[string]any{}
	for name := range now {
		if then[name] == nil {
			patch[name] = nil
		}
	}
	for name, want := range then {
		has, there := now[name]
		below, isMap := want.(map[string]any)
		had, wasMap := has.(map[string]any)
		switch {
		case want == nil || there && reflect.DeepEqual(has, want):
		case isMap && wasMap:
			patch[name] = diff(had, below)
		default:
			patch[name] = want
		}
	}
	return patch
}
