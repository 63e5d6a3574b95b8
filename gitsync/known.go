package gitsync

import "sync"

const (
	// maxKnown bounds the commits that a store keeps read.
	maxKnown = 2048
	// maxKnownMessage leaves out commits with long messages, in bytes.
	maxKnownMessage = 4 << 10
)

// knownCommits are commits that were read: each sync walks over those since the
// last one that the cluster holds, which may be many while calls pour in.
type knownCommits struct {
	mu    sync.Mutex
	of    map[string]*revision
	order []string
}

func (k *knownCommits) get(hash string) (*revision, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r, ok := k.of[hash]
	return r, ok
}

func (k *knownCommits) add(r *revision) {
	if len(r.message) > maxKnownMessage {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.of[r.hash]; ok {
		return
	}
	if k.of == nil {
		k.of = map[string]*revision{}
	}
	k.of[r.hash] = r
	k.order = append(k.order, r.hash)
	if len(k.order) > maxKnown {
		delete(k.of, k.order[0])
		k.order = k.order[1:]
	}
}

func (k *knownCommits) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.of, k.order = nil, nil
}
