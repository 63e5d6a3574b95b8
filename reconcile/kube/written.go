package kube

// spot names an object among all.
type spot struct {
	kind            kindName
	namespace, name string
}

// writing says that the object is being written until the returned function is
// called. What the watch tells of it meanwhile nearly always is our own doing.
func (v *view) writing(p place) func() {
	at := spot{p.kind.name(), p.namespace, p.name}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.written[at]++
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.written[at]--; v.written[at] == 0 {
			delete(v.written, at)
		}
	}
}

// isWritten says whether a write of the object is under way.
func (v *view) isWritten(s seen) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.written[spot{s.kind, s.namespace, s.name}] > 0
}
