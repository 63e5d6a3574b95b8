package kube

import (
	"sync"

	corev1 "k8s.io/api/core/v1"

	"bayplan.dev/schema"
)

// stateView is the ConfigMap of the State as it was last seen, so that reading it
// costs nothing and writing it one request. It is safe for concurrent use; the
// ConfigMaps in it are never changed.
type stateView struct {
	mu sync.Mutex
	// known is false until we have read or written it ourselves, and after a
	// write that failed: what a watch says may be older than what others saved.
	known bool
	// version is that of the newest news, of the object or its deletion.
	version uint64
	object  *corev1.ConfigMap
}

// get returns what is known, and whether that may be relied on.
func (s *stateView) get() (*corev1.ConfigMap, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.object, s.known
}

// learn takes what the API server has answered us, nil for nothing, and
// returns the newest that is known.
func (s *stateView) learn(object *corev1.ConfigMap) *corev1.ConfigMap {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = true
	if object == nil {
		s.object = nil
	} else if v := versionOf(object); v >= s.version {
		s.object, s.version = object, v
	}
	return s.object
}

// told takes what a watch says, nil for nothing, and returns whether that is
// news to us.
func (s *stateView) told(object *corev1.ConfigMap, version uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if version <= s.version {
		return false
	}
	s.object, s.version = object, version
	return true
}

// forget has the next reader ask the API server.
func (s *stateView) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = false
}

// stateDetailOf keeps what may hold a State as it is.
func stateDetailOf(o object) any {
	if c, ok := o.(*corev1.ConfigMap); ok && c.Namespace == schema.SystemNamespace {
		return c
	}
	return nil
}

// toldState takes news of the State's ConfigMap, nil for its absence.
func (v *view) toldState(object *corev1.ConfigMap, version uint64) {
	if v.held.told(object, version) {
		v.notifyState()
	}
}
