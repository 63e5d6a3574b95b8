package kube

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"bayplan.dev/schema"
)

// scene is a view of one ConfigMap, and how often Notify was called.
type scene struct {
	*view
	id   schema.SpaceID
	told int
}

func newScene() *scene {
	s := &scene{id: schema.SpaceID{User: "alice", Name: "web"}}
	s.view = newView(Options{Notify: func(schema.SpaceID) { s.told++ }})
	return s
}

func (s *scene) event(uid types.UID, version uint64) seen {
	return seen{kindConfigMap, s.id.Namespace(), "a", &record{uid: uid, version: version, owner: s.id.String()}}
}

// has is the version that the view holds, 0 for none.
func (s *scene) has() uint64 {
	if r := s.known(s.event("", 0)); r != nil {
		return r.version
	}
	return 0
}

func TestViewIsNotPutBack(t *testing.T) {
	for name, test := range map[string]struct {
		happens func(*scene)
		want    uint64
	}{
		"older event":             {func(s *scene) { s.put(s.event("u", 3)) }, 5},
		"newer event":             {func(s *scene) { s.put(s.event("u", 7)) }, 7},
		"older object deleted":    {func(s *scene) { s.remove(s.event("t", 4)) }, 5},
		"deleted":                 {func(s *scene) { s.remove(s.event("u", 6)) }, 0},
		"older list without it":   {func(s *scene) { s.replace(kindConfigMap, nil, 4) }, 5},
		"newer list without it":   {func(s *scene) { s.replace(kindConfigMap, nil, 6) }, 0},
		"newer list with it":      {func(s *scene) { s.replace(kindConfigMap, []seen{s.event("u", 6)}, 8) }, 6},
		"list of another kind":    {func(s *scene) { s.replace(kindService, nil, 9) }, 5},
		"list of namespaces":      {func(s *scene) { s.replace(kindNamespace, nil, 9) }, 5},
		"place of another object": {func(s *scene) { e := s.event("u", 9); e.name = "b"; s.remove(e) }, 5},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			s.put(s.event("u", 5))
			test.happens(s)
			if got := s.has(); got != test.want {
				t.Errorf("version %d, want %d", got, test.want)
			}
		})
	}
}

func TestNotifyOnChangeOnly(t *testing.T) {
	s := newScene()
	s.put(s.event("u", 5))
	s.put(s.event("u", 6)) // says nothing new
	s.put(s.event("u", 4)) // is late
	s.put(seen{kindConfigMap, "kube-system", "a", &record{version: 7}})
	if s.told != 1 {
		t.Errorf("told %d times, want 1", s.told)
	}
	s.remove(s.event("u", 8))
	if s.told != 2 {
		t.Errorf("told %d times after the end, want 2", s.told)
	}
	if n := len(s.spaces); n != 0 {
		t.Errorf("%d spaces are remembered after the end, want 0", n)
	}
}

func TestOwnedSpaces(t *testing.T) {
	s := newScene()
	put := func(namespace, owner string) {
		s.put(seen{kindNamespace, "", namespace, &record{version: 1, owner: owner}})
	}
	put("compute-bob--b", "bob--b")
	put("compute-alice--a", "alice--a")
	put("compute-eve--e", "")
	put("compute-eve--f", "alice--a")
	put("kube-system", "alice--a")
	want := []schema.SpaceID{{User: "alice", Name: "a"}, {User: "bob", Name: "b"}}
	if diff := cmp.Diff(want, s.owned()); diff != "" {
		t.Errorf("owned (-want +got):\n%s", diff)
	}
}
