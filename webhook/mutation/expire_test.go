package mutation

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

func TestExpire(t *testing.T) {
	const file = "users/alice/shop/api.yaml"
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	id := schema.ContainerID{Space: schema.SpaceID{User: "alice", Name: "shop"}, Name: "api"}
	document := func(rest string) string {
		return "apiVersion: bayplan.dev/v1\nkind: Container\nmetadata:\n  name: api\nspec:\n  image: a:1 # theirs\n" + rest
	}
	ending := document("  expiresAt: \"2026-11-21T13:00:00+01:00\"\n")
	later := document("  expiresAt: \"2026-11-21T12:00:01Z\"\n")
	for _, test := range []struct {
		name   string
		policy schema.ExpirePolicy
		old    string
		want   tree
	}{
		{"stop", schema.ExpireStop, ending, tree{file: document("  state: Stopped\n  expiresAt: \"2026-11-21T13:00:00+01:00\"\n")}},
		{"delete", schema.ExpireDelete, ending, tree{}},
		{"moved", schema.ExpireDelete, later, tree{file: later}},
		{"moved, stop", schema.ExpireStop, later, tree{file: later}},
		{"by a preset", schema.ExpireStop, document(""), tree{file: document("  state: Stopped\n")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := tree{file: test.old}
			if _, err := Expire(id, at, test.policy)(got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	if _, err := Expire(id, at, schema.ExpireStop)(tree{}); schema.CodeOf(err) != schema.NotFound {
		t.Errorf("gone: got %v, want NotFound", err)
	}
}
