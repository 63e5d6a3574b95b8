package render

import (
	"container/list"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"bayplan.dev/schema"
)

// cachedObjects bounds the memory: an object is some 5 KiB of maps, and
// rendering a space again takes less than a millisecond. What is worth keeping
// are the spaces that are asked for twice in a row, by a retry or by two routes.
const cachedObjects = 512

// cacheKey has the id beside the digest, because two users may have equal files.
type cacheKey struct {
	space  schema.SpaceID
	digest string
}

// cache keeps the spaces that were used last.
type cache struct {
	mu      sync.Mutex
	limit   int // of objects
	size    int
	entries map[cacheKey]*list.Element
	used    *list.List // newest first
}

type cacheEntry struct {
	key     cacheKey
	objects []*unstructured.Unstructured
}

func newCache(limit int) *cache {
	return &cache{limit: limit, entries: map[cacheKey]*list.Element{}, used: list.New()}
}

func (c *cache) get(key cacheKey) ([]*unstructured.Unstructured, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[key]
	if !ok {
		return nil, false
	}
	c.used.MoveToFront(e)
	return e.Value.(cacheEntry).objects, true
}

// put remembers nothing without a digest: there is no telling when it changes.
func (c *cache) put(key cacheKey, objects []*unstructured.Unstructured) {
	if key.digest == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[key]; ok {
		c.used.MoveToFront(e)
		return
	}
	c.entries[key] = c.used.PushFront(cacheEntry{key: key, objects: objects})
	c.size += len(objects)
	for c.size > c.limit {
		oldest := c.used.Remove(c.used.Back()).(cacheEntry)
		delete(c.entries, oldest.key)
		c.size -= len(oldest.objects)
	}
}
