package schema

import (
	"strings"
	"testing"
)

// words are names that tempt parsers.
var words = []string{"a", "b", "ab", "a-b", "abc", "a-b-c", "web", "shop", "x1", "a1-b2", "compute", "user", strings.Repeat("a", 20), strings.Repeat("a", 30)}

// TestIDsAreInjective: no two ids have one form, and every form leads back.
func TestIDsAreInjective(t *testing.T) {
	containers, namespaces := map[string]ContainerID{}, map[string]SpaceID{}
	for _, user := range words {
		for _, space := range words {
			id := SpaceID{User(user), space}
			if id.Validate() != nil {
				continue
			}
			if other, taken := namespaces[id.Namespace()]; taken {
				t.Errorf("%v and %v have one namespace", id, other)
			}
			namespaces[id.Namespace()] = id
			if got, err := ParseNamespace(id.Namespace()); err != nil || got != id {
				t.Errorf("ParseNamespace(%q) = %v, %v, want %v", id.Namespace(), got, err, id)
			}
			if got, err := ParseSpaceID(id.String()); err != nil || got != id {
				t.Errorf("ParseSpaceID(%q) = %v, %v, want %v", id, got, err, id)
			}
			for _, name := range words {
				c := ContainerID{id, name}
				if c.Validate() != nil {
					continue
				}
				if other, taken := containers[c.String()]; taken {
					t.Errorf("%v and %v have one id", c, other)
				}
				containers[c.String()] = c
				if got, err := ParseContainerID(c.String()); err != nil || got != c {
					t.Errorf("ParseContainerID(%q) = %v, %v, want %v", c, got, err, c)
				}
			}
		}
	}
	if len(containers) < 1000 {
		t.Errorf("got %d ids, want at least 1000", len(containers))
	}
}

func TestNamesAreRefused(t *testing.T) {
	long := strings.Repeat("a", 31)
	for _, id := range []string{"", "alice", "--", "alice--", "--web", "al--web", "alice--keys", "alice--web--web", "alice--a--b--c", "alice--Web", "alice--a_b", "alice---b", "alice--" + long, strings.Repeat("a", 20) + "--" + strings.Repeat("b", 30) + "--" + strings.Repeat("c", 30)} {
		if got, err := ParseContainerID(id); CodeOf(err) != Invalid {
			t.Errorf("ParseContainerID(%q) = %v, %v, want code %s", id, got, err, Invalid)
		}
	}
	for _, namespace := range []string{"", "compute", "compute-alice", "other-alice--web", "compute-alice--web--a"} {
		if got, err := ParseNamespace(namespace); CodeOf(err) != Invalid {
			t.Errorf("ParseNamespace(%q) = %v, %v, want code %s", namespace, got, err, Invalid)
		}
	}
}

func FuzzNames(f *testing.F) {
	for _, seed := range []string{"alice--web", "alice--web--api", "compute-alice--web", "alice--web--web", "a--b", "--", "alice--a-b--c-d", "alice--xn--a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := ParseContainerID(s); err == nil {
			if id.String() != s || id.Validate() != nil || len(s) > MaxIDLength {
				t.Errorf("ParseContainerID(%q) = %v, which reads %q", s, id, id)
			}
			text, err := id.MarshalText()
			var back ContainerID
			if err != nil || back.UnmarshalText(text) != nil || back != id {
				t.Errorf("%v doesn't survive as text: %v, %v", id, back, err)
			}
		}
		if id, err := ParseSpaceID(s); err == nil && (id.String() != s || id.Validate() != nil) {
			t.Errorf("ParseSpaceID(%q) = %v", s, id)
		}
		if id, err := ParseNamespace(s); err == nil && (id.Namespace() != s || len(s) > MaxIDLength) {
			t.Errorf("ParseNamespace(%q) = %v", s, id)
		}
	})
}
