package schema

import (
	"maps"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// maxLists bounds the different lists of resources that are remembered.
const maxLists = 4096

// lists hands out one copy of equal lists of resources: ten thousand containers
// ask for few different ones, and a map is large. Nobody changes a list that is
// part of a fleet. It is safe for concurrent use.
type lists struct {
	mu sync.Mutex
	of map[string]corev1.ResourceList
}

// share returns a list that equals the given one.
func (l *lists) share(list corev1.ResourceList) corev1.ResourceList {
	if len(list) == 0 {
		return list
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(list)) {
		quantity := list[name]
		b.WriteString(string(name) + "=" + quantity.String() + "\n")
	}
	key := b.String()
	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.of[key]; known != nil {
		return known
	}
	if l.of == nil || len(l.of) >= maxLists {
		l.of = map[string]corev1.ResourceList{}
	}
	l.of[key] = list
	return list
}

// shareAll does so with both lists of the requirements.
func (l *lists) shareAll(r *corev1.ResourceRequirements) {
	r.Requests, r.Limits = l.share(r.Requests), l.share(r.Limits)
}

// shelf is where loaders that stand beside each other put what they remember.
// It is safe for concurrent use.
type shelf struct {
	lists lists
	mu    sync.Mutex
	of    map[*Loader][]*memory
}

// put replaces what the loader remembers.
func (s *shelf) put(l *Loader, recent []*memory) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[*Loader][]*memory{}
	}
	s.of[l] = recent
}

// earlier is what the loader remembers, and then what the others do.
func (s *shelf) earlier(l *Loader) []*memory {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Clone(s.of[l])
	for other, recent := range s.of {
		if other != l {
			all = append(all, recent...)
		}
	}
	return all
}
