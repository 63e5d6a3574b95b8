package kube

import (
	"testing"

	"bayplan.dev/schema"
)

func TestFleetTellsItsOwnFromOthers(t *testing.T) {
	id := schema.SpaceID{User: "alice", Name: "web"}
	for _, f := range []fleet{"", "staging"} {
		if got := f.space(f.owner(id)); got != id.String() {
			t.Errorf("fleet %q: space(owner(%s)) = %q", f, id, got)
		}
		for _, other := range []fleet{"", "staging", "prod", "staging-2"} {
			if f != other && f.space(other.owner(id)) != "" {
				t.Errorf("fleet %q takes the objects of fleet %q for its own", f, other)
			}
		}
	}
}
