package render

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"bayplan.dev/schema"
)

func TestCacheBounded(t *testing.T) {
	key := func(digest string) cacheKey {
		return cacheKey{space: schema.SpaceID{User: "alice", Name: "web"}, digest: digest}
	}
	c := newCache(10)
	four := make([]*unstructured.Unstructured, 4)
	c.put(key("a"), four)
	c.put(key("b"), four)
	if _, ok := c.get(key("a")); !ok {
		t.Fatal("a is gone though there is room")
	}
	c.put(key("c"), four)
	c.put(key("small"), make([]*unstructured.Unstructured, 3))
	for digest, want := range map[string]bool{"a": false, "b": false, "c": true, "small": true} {
		if _, got := c.get(key(digest)); got != want {
			t.Errorf("%s is kept: got %t, want %t", digest, got, want)
		}
	}
	c.put(key("huge"), make([]*unstructured.Unstructured, 11))
	if c.size != 0 || len(c.entries) != 0 || c.used.Len() != 0 {
		t.Errorf("got %d objects in %d entries, want none: one space was more than all may be", c.size, len(c.entries))
	}
	c.put(key(""), four)
	if len(c.entries) != 0 {
		t.Error("a space without a digest is kept")
	}
}
