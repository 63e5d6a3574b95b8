package kube

import (
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"bayplan.dev/schema"
)

// view is what the watches say, by namespace. It is safe for concurrent use.
type view struct {
	notify      func(schema.SpaceID)
	notifyState func()
	// state is the name of the fleet's state, held what is known of it.
	state string
	held  stateView

	mu     sync.RWMutex
	spaces map[string]*space
	// written counts the writes of an object that are under way.
	written map[spot]int
	// simulated are the nodes that run no real containers.
	simulated map[string]bool
	// ours are the spaces whose namespace is ours, in order, shared with those
	// who asked; nil when that must be found out anew.
	ours []schema.SpaceID
}

// space is what is known of one namespace.
type space struct {
	id        schema.SpaceID
	namespace *record
	objects   records
}

func newView(options Options) *view {
	v := &view{
		notify: options.Notify, notifyState: options.NotifyState, state: fleet(options.Fleet).named(stateName),
		spaces: map[string]*space{}, written: map[spot]int{}, simulated: map[string]bool{},
	}
	if v.notify == nil {
		v.notify = func(schema.SpaceID) {}
	}
	if v.notifyState == nil {
		v.notifyState = func() {}
	}
	return v
}

// seen is one object as a watch or the answer to a write told it.
type seen struct {
	kind      kindName
	namespace string
	name      string
	record    *record
}

// spaceName is the namespace that the object says something about.
func (s seen) spaceName() string {
	if s.kind == kindNamespace {
		return s.name
	}
	return s.namespace
}

// put takes the object in unless something newer is known already: a watch
// may be behind the answers to our own writes.
func (v *view) put(s seen) {
	if v.elsewhere(s, true) {
		return
	}
	id, err := schema.ParseNamespace(s.spaceName())
	if err != nil {
		return
	}
	v.mu.Lock()
	changed := v.putLocked(id, s)
	v.mu.Unlock()
	if changed {
		v.notify(id)
	}
}

func (v *view) putLocked(id schema.SpaceID, s seen) bool {
	sp := v.spaces[s.spaceName()]
	if sp == nil {
		sp = &space{id: id}
		v.spaces[s.spaceName()] = sp
	}
	old := sp.get(s)
	if old != nil && s.record.version < old.version {
		sp.vouch(s, old)
		return false
	}
	next := inherit(old, s.record)
	sp.set(s, next)
	if s.kind == kindNamespace && (old == nil || old.owner != next.owner) {
		v.ours = nil
	}
	return old == nil || !old.same(next)
}

// vouch keeps what an answer says that the watch has overtaken: the fields that
// are ours are still as that left them.
func (sp *space) vouch(s seen, newer *record) {
	if newer.uid == s.record.uid && newer.mark == s.record.good && newer.mark != (digest{}) && newer.good != newer.mark {
		r := *newer
		r.good = r.mark
		sp.set(s, &r)
	}
}

// inherit carries over what a single state of an object can't tell.
func inherit(old, next *record) *record {
	if old == nil || old.uid != next.uid {
		return next
	}
	r := *next
	if r.good == (digest{}) && old.intent == r.intent {
		r.good = old.good
	}
	if before, ok := old.detail.(podDetail); ok {
		if now, ok := r.detail.(podDetail); ok {
			now.wasReady = now.wasReady || before.ready || before.wasReady
			r.detail = now
		}
	}
	return &r
}

// remove forgets the object unless a newer one has taken its place.
func (v *view) remove(s seen) {
	if v.elsewhere(s, false) {
		return
	}
	v.mu.Lock()
	sp := v.spaces[s.spaceName()]
	if sp == nil {
		v.mu.Unlock()
		return
	}
	old := sp.get(s)
	changed := old != nil && old.version <= s.record.version
	if changed {
		sp.set(s, nil)
		v.drop(s.spaceName(), sp)
		if s.kind == kindNamespace {
			v.ours = nil
		}
	}
	v.mu.Unlock()
	if changed {
		v.notify(sp.id)
	}
}

// replace makes a complete list of one kind the truth. What is newer than the
// list stays.
func (v *view) replace(kind kindName, list []seen, version uint64) {
	present := make(map[string]map[string]bool, len(list))
	for _, s := range list {
		names := present[s.spaceName()]
		if names == nil {
			names = map[string]bool{}
			present[s.spaceName()] = names
		}
		names[s.name] = true
	}
	for _, s := range v.absent(kind, present, version) {
		v.remove(s)
	}
	for _, s := range list {
		v.put(s)
	}
	if kind == kindConfigMap && !present[schema.SystemNamespace][v.state] {
		v.toldState(nil, version)
	}
}

// absent lists the objects of the kind that are known and not present.
func (v *view) absent(kind kindName, present map[string]map[string]bool, version uint64) []seen {
	gone := func(namespace, name string) seen {
		return seen{kind: kind, namespace: namespace, name: name, record: &record{version: version}}
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	var list []seen
	if kind == kindNode {
		for name := range v.simulated {
			if !present[""][name] {
				list = append(list, gone("", name))
			}
		}
		return list
	}
	for namespace, sp := range v.spaces {
		if kind == kindNamespace {
			if sp.namespace != nil && !present[namespace][namespace] {
				list = append(list, gone("", namespace))
			}
			continue
		}
		for k := range sp.objects.all() {
			if k.kind == kind && !present[namespace][k.name] {
				list = append(list, gone(namespace, k.name))
			}
		}
	}
	return list
}

// elsewhere takes what isn't of any space and says whether it was that.
func (v *view) elsewhere(s seen, exists bool) bool {
	switch {
	case s.kind == kindNode:
		v.mu.Lock()
		defer v.mu.Unlock()
		if exists {
			v.simulated[s.name] = true
		} else {
			delete(v.simulated, s.name)
		}
		return true
	case s.kind == kindConfigMap && s.namespace == schema.SystemNamespace:
		if s.name == v.state {
			var state *corev1.ConfigMap
			if exists {
				state, _ = s.record.detail.(*corev1.ConfigMap)
			}
			v.toldState(state, s.record.version)
		}
		return true
	}
	return false
}

func (sp *space) get(s seen) *record {
	if s.kind == kindNamespace {
		return sp.namespace
	}
	return sp.objects.get(key{s.kind, s.name})
}

func (sp *space) set(s seen, r *record) {
	switch {
	case s.kind == kindNamespace:
		sp.namespace = r
	case r == nil:
		sp.objects.remove(key{s.kind, s.name})
	default:
		sp.objects.set(key{s.kind, s.name}, r)
	}
}

// drop forgets a namespace of which nothing is left.
func (v *view) drop(namespace string, sp *space) {
	if sp.namespace == nil && len(sp.objects) == 0 {
		delete(v.spaces, namespace)
	}
}

// get returns what is known of the object at the place, or nil.
func (v *view) get(p place) *record {
	return v.known(seen{kind: p.kind.name(), namespace: p.namespace, name: p.name})
}

// known returns what is known of the object, or nil.
func (v *view) known(s seen) *record {
	v.mu.RLock()
	defer v.mu.RUnlock()
	sp := v.spaces[s.spaceName()]
	if sp == nil {
		return nil
	}
	return sp.get(s)
}

// snapshot is a copy of what is known of one namespace.
func (v *view) snapshot(id schema.SpaceID) space {
	v.mu.RLock()
	defer v.mu.RUnlock()
	sp := v.spaces[id.Namespace()]
	if sp == nil {
		return space{id: id}
	}
	return space{id: id, namespace: sp.namespace, objects: slices.Clone(sp.objects)}
}

// leaving marks an object that was told to go, until the watch says that it has.
func (v *view) leaving(p place, was *record) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := seen{kind: p.kind.name(), namespace: p.namespace, name: p.name}
	sp := v.spaces[s.spaceName()]
	if sp == nil || sp.get(s) != was {
		return
	}
	r := *was
	r.deleting = true
	sp.set(s, &r)
}

// owned lists the spaces whose namespace is ours, in order.
func (v *view) owned() []schema.SpaceID {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ours == nil {
		v.ours = make([]schema.SpaceID, 0, len(v.spaces))
		for _, sp := range v.spaces {
			if sp.namespace.ownedBy(sp.id) {
				v.ours = append(v.ours, sp.id)
			}
		}
		slices.SortFunc(v.ours, schema.SpaceID.Compare)
	}
	return slices.Clone(v.ours)
}

func (v *view) isSimulated(node string) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.simulated[node]
}

// verified remembers that the object was seen to be as intended.
func (v *view) verified(p place, was *record) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := seen{kind: p.kind.name(), namespace: p.namespace, name: p.name}
	if sp := v.spaces[s.spaceName()]; sp != nil && sp.get(s) == was {
		r := *was
		r.good = r.mark
		sp.set(s, &r)
	}
}
