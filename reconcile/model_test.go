package reconcile

import (
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"bayplan.dev/schema"
)

// TestModel lets users, operators, strangers and faults do what they like, and
// checks that nothing is deleted without a reason, and that the cluster is what
// the head says once the faults have ended. A seed that fails can be replayed
// with -run 'TestModel/seed=N$'.
func TestModel(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newModel(t, seed)
				for range 80 {
					m.step()
				}
				m.end()
			})
		})
	}
}

// model drives one loop, and knows what it may do.
type model struct {
	t    *testing.T
	rand *rand.Rand
	*fixture
	source *fakeRepo
	faults faults

	mu     sync.Mutex
	credit int                      // containers that may be deleted
	judged map[schema.Revision]bool // revisions whose share is in the credit
	lifted map[schema.Revision]bool // revisions that an operator confirmed
}

// faults decide by what is asked, not by when, so that a seed replays.
type faults struct {
	mu    sync.Mutex
	seed  uint64
	share uint32 // per cent of the calls that fail
	calls uint64
}

func newModel(t *testing.T, seed uint64) *model {
	t.Helper()
	m := &model{
		t: t, rand: rand.New(rand.NewPCG(seed, 1)), source: newFakeRepo(), faults: faults{seed: seed},
		judged: map[schema.Revision]bool{}, lifted: map[schema.Revision]bool{},
	}
	cluster := newFakeCluster()
	cluster.fail = m.faults.of
	cluster.deleting = func(id schema.ContainerID) { m.deleting(cluster, id) }
	m.fixture = start(t, m.source, cluster)
	return m
}

func (f *faults) of(op string, id schema.SpaceID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	h := fnv.New32a()
	fmt.Fprint(h, f.seed, op, id, f.calls/8)
	if h.Sum32()%100 < f.share {
		codes := []schema.Code{schema.Unavailable, schema.Conflict, schema.Internal}
		return schema.Errorf(codes[f.calls%3], "%s refused", op)
	}
	return nil
}

func (f *faults) set(share uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.share = share
}

// step is one thing that happens.
func (m *model) step() {
	switch m.rand.IntN(12) {
	case 0, 1, 2, 3, 4, 5:
		m.edit()
	case 6:
		m.faults.set(m.rand.Uint32N(60))
	case 7:
		m.faults.set(0)
		m.source.setFail(nil)
	case 8:
		m.source.setFail(schema.Errorf(schema.Unavailable, "forge is down"))
	case 9:
		m.stranger()
	case 10:
		m.stop()
		m.fixture = start(m.t, m.source, m.cluster)
	case 11:
		m.confirmHead()
	}
	if m.rand.IntN(3) > 0 {
		m.Poke()
	}
	let(time.Duration(m.rand.IntN(20_000)) * time.Millisecond)
	m.spent()
}

// edit is a commit of a user, a clumsy one at times.
func (m *model) edit() {
	m.source.mu.Lock()
	parent := m.source.head
	if m.rand.IntN(10) == 0 {
		parent = m.rand.IntN(len(m.source.commits)) // history is rewritten
	}
	c := commit{parent: parent, files: maps.Clone(m.source.commits[parent].files), frozen: m.rand.IntN(15) == 0}
	m.source.mu.Unlock()
	if c.files == nil {
		c.files = files{}
	}
	for range m.rand.IntN(12) {
		c.files[m.anyContainer()] = fmt.Sprint("v", m.rand.IntN(1000))
	}
	if m.rand.IntN(3) == 0 {
		policy := []schema.ExpirePolicy{schema.ExpireStop, schema.ExpireDelete}[m.rand.IntN(2)]
		c.files[m.anyContainer()] = until(time.Duration(m.rand.IntN(120)-20)*time.Second, policy)
	}
	if m.rand.IntN(8) == 0 {
		c.files[m.anyContainer()] = broken
	}
	gone := 0
	for _, id := range sorted(c.files) {
		if rate := []int{0, 10, 60, 100}[m.rand.IntN(4)]; m.rand.IntN(150) < rate {
			delete(c.files, id)
			gone++
		}
	}
	if m.rand.IntN(4) == 0 {
		c.trailers = map[string][]string{TrailerAllowMassDelete: {strconv.Itoa(gone)}}
	}
	m.source.commit(c)
}

func (m *model) anyContainer() schema.ContainerID {
	space := schema.SpaceID{User: []schema.User{"alice", "bobby", "carol"}[m.rand.IntN(3)], Name: fmt.Sprint("s", m.rand.IntN(6))}
	return schema.ContainerID{Space: space, Name: fmt.Sprint("c", m.rand.IntN(3))}
}

// stranger edits something of ours in the cluster.
func (m *model) stranger() {
	held := sorted(m.cluster.holds())
	if len(held) > 0 {
		m.cluster.edit(held[m.rand.IntN(len(held))], "edited")
	}
}

func (m *model) confirmHead() {
	r := revision(m.source.at())
	m.mu.Lock()
	m.lifted[r] = true
	m.credit += len(m.cluster.holds())
	m.mu.Unlock()
	m.cluster.confirm(r)
	m.NotifyState()
}

// deleting checks that the container may go. The caller holds cluster.mu.
func (m *model) deleting(cluster *fakeCluster, id schema.ContainerID) {
	m.source.mu.Lock()
	defer m.source.mu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	existing := 0
	for _, containers := range cluster.spaces {
		existing += len(containers)
	}
	// A pass may end under the plan that came after the one it began with, and
	// a plan stays in force while the next one can't be saved.
	recent := slices.Compact(slices.Clone(m.source.loaded))
	recent = recent[max(len(recent)-4, 0):]
	for _, n := range m.source.loaded {
		if r := revision(n); !m.judged[r] {
			m.judged[r] = true
			m.credit += max(share(existing), m.allowed(n, cluster.state.Synced))
		}
	}
	if slices.ContainsFunc(recent, func(n int) bool { return m.expired(n, id) }) {
		return
	}
	if !slices.ContainsFunc(recent, func(n int) bool { return m.reason(n, cluster.state, id) }) {
		m.t.Errorf("%s deleted without a reason at revisions %v, state %+v", id, recent, cluster.state)
	}
	if m.credit--; m.credit < 0 {
		m.t.Errorf("%s deleted beyond what may be deleted", id)
	}
}

// allowed is what the trailers since the last synced revision let through.
func (m *model) allowed(n int, synced schema.Revision) int {
	var commits []schema.Commit
	for ; n >= 0 && revision(n) != synced; n = m.source.commits[n].parent {
		commits = append(commits, schema.Commit{Trailers: m.source.commits[n].trailers})
	}
	return allowance(commits)
}

// spent ends what earlier revisions were permitted, once they have been handled.
func (m *model) spent() {
	if s := m.Hub().Sync().State; s == schema.SyncSynced || s == schema.SyncHalted {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.credit = 0
	}
}

// reason says whether commit n lets the container go: its file is absent, the
// commit is sound, and it descends from what was synced or an operator said so.
func (m *model) reason(n int, state State, id schema.ContainerID) bool {
	c := m.source.commits[n]
	if _, there := c.files[id]; there || c.frozen {
		return false
	}
	for other, content := range c.files {
		if other.Space == id.Space && content == broken {
			return false
		}
	}
	for a := n; a >= 0; a = m.source.commits[a].parent {
		if revision(a) == state.Synced || m.lifted[revision(a)] {
			return true
		}
	}
	return state.Synced == ""
}

// expired says whether commit n, which is sound, has the container and its time has come.
func (m *model) expired(n int, id schema.ContainerID) bool {
	c := m.source.commits[n]
	s := specOf(c.files[id])
	frozen := c.frozen
	for other, content := range c.files {
		frozen = frozen || other.Space == id.Space && content == broken
	}
	return !frozen && s.ExpiresAt != nil && s.ExpirePolicy == schema.ExpireDelete && !time.Now().Before(*s.ExpiresAt)
}

// end lets all faults end, and wants the cluster to be what the head says.
func (m *model) end() {
	m.faults.set(0)
	m.source.setFail(nil)
	m.source.mu.Lock()
	head := commit{parent: m.source.head, files: maps.Clone(m.source.commits[m.source.head].files)}
	m.source.mu.Unlock()
	for id, content := range head.files {
		if content == broken || specOf(content).ExpiresAt != nil {
			head.files[id] = "mended"
		}
	}
	m.source.commit(head)
	m.confirmHead()
	m.Poke()
	let(3*lastRetry + deferral)
	if head.files == nil {
		head.files = files{}
	}
	m.wantHolds(m.t, head.files)
	m.wantSync(m.t, schema.SyncSynced, "")
	if got, want := m.cluster.saved().Synced, revision(m.source.at()); got != want {
		m.t.Errorf("synced: got %q, want %q", got, want)
	}
	statuses := m.Hub().Containers()
	if got, want := len(statuses), len(head.files); got != want {
		m.t.Errorf("statuses: got %d, want %d", got, want)
	}
	for _, s := range statuses {
		if s.Phase != schema.PhaseRunning || s.Reason != "" {
			m.t.Errorf("%s: got %s %s, want running", s.ID, s.Phase, s.Reason)
		}
	}
}
