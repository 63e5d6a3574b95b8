package reconcile

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"bayplan.dev/schema"
)

// files is what one commit holds: the content of each container's file.
// The content "broken" freezes its space.
type files map[schema.ContainerID]string

const broken = "broken"

// commit is one revision of the fake repository.
type commit struct {
	parent   int
	files    files
	frozen   bool // platform.yaml is broken
	trailers map[string][]string
}

// fakeRepo is a Source, Loader and Renderer over commits in memory.
type fakeRepo struct {
	mu      sync.Mutex
	commits []commit
	head    int
	fail    error
	loaded  []int
	loads   int
}

func revision(n int) schema.Revision { return schema.Revision(fmt.Sprintf("%040x", n)) }

func number(r schema.Revision) int {
	var n int
	if _, err := fmt.Sscanf(string(r), "%x", &n); err != nil {
		return -1
	}
	return n
}

func newFakeRepo() *fakeRepo { return &fakeRepo{commits: []commit{{parent: -1}}} }

// commit adds a commit upon parent and makes it the head.
func (r *fakeRepo) commit(c commit) schema.Revision {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.files = maps.Clone(c.files)
	r.commits = append(r.commits, c)
	r.head = len(r.commits) - 1
	return revision(r.head)
}

// push commits upon the head.
func (r *fakeRepo) push(f files, trailers ...string) schema.Revision {
	c := commit{parent: r.at(), files: f, trailers: map[string][]string{}}
	for _, t := range trailers {
		key, value, _ := strings.Cut(t, ": ")
		c.trailers[key] = append(c.trailers[key], value)
	}
	return r.commit(c)
}

func (r *fakeRepo) at() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.head
}

func (r *fakeRepo) setFail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = err
}

func (r *fakeRepo) Head(context.Context) (schema.Snapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return schema.Snapshot{Revision: revision(r.head)}, r.fail
}

func (r *fakeRepo) History(_ context.Context, from, to schema.Revision) (schema.History, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var h schema.History
	for n := number(to); n >= 0; n = r.commits[n].parent {
		if revision(n) == from {
			h.Descends = true
			break
		}
		h.Commits = append(h.Commits, schema.Commit{Revision: revision(n), Trailers: r.commits[n].trailers})
	}
	return h, r.fail
}

func (r *fakeRepo) Load(_ context.Context, s schema.Snapshot) (*schema.Fleet, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := number(s.Revision)
	r.loaded = append(r.loaded, n)
	r.loads++
	return load(r.commits[n], s.Revision), r.fail
}

func load(c commit, rev schema.Revision) *schema.Fleet {
	f := &schema.Fleet{Revision: rev, Platform: &schema.Platform{}, Spaces: map[schema.SpaceID]*schema.Space{}, Frozen: c.frozen}
	if c.frozen {
		f.Findings = append(f.Findings, schema.Finding{
			Position: schema.Position{File: "platform.yaml", Line: 3}, Severity: schema.SeverityError, Code: "unknown-field", Message: "unknown",
		})
	}
	for _, id := range sorted(c.files) {
		space := f.Spaces[id.Space]
		if space == nil {
			space = &schema.Space{ID: id.Space}
			f.Spaces[id.Space] = space
		}
		file := id.Space.Path() + "/" + id.Name + ".yaml"
		space.Containers = append(space.Containers, &schema.Container{ID: id, Hash: c.files[id], Source: schema.Position{File: file, Line: 1}})
		space.Digest += id.Name + "=" + c.files[id] + ";"
		if c.files[id] == broken {
			space.Frozen = true
			f.Findings = append(f.Findings, schema.Finding{
				Position: schema.Position{File: file, Line: 7, Column: 2}, Severity: schema.SeverityError, Code: "bad-quantity", Message: "is not a quantity",
			})
		}
	}
	return f
}

func sorted(f files) []schema.ContainerID {
	return slices.SortedFunc(maps.Keys(f), func(a, b schema.ContainerID) int { return strings.Compare(a.String(), b.String()) })
}

func (r *fakeRepo) Space(f *schema.Fleet, id schema.SpaceID) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for _, c := range f.Spaces[id].Containers {
		if c.Hash == "unrenderable" {
			return nil, schema.Errorf(schema.Invalid, "the overlay refuses %s", c.ID)
		}
		o := &unstructured.Unstructured{Object: map[string]any{"content": c.Hash}}
		o.SetName(c.ID.Name)
		objects = append(objects, o)
	}
	return objects, nil
}

// fakeCluster keeps the content of each container. Its watches are always up to date.
type fakeCluster struct {
	mu     sync.Mutex
	spaces map[schema.SpaceID]map[string]string
	state  State
	saves  int
	// fail may refuse a call: "apply", "prune", "remove", "state" or "save".
	fail func(op string, id schema.SpaceID) error
	// deleting is told of each container before it goes.
	deleting func(schema.ContainerID)
	// grace, when not zero, is when Remove may finish.
	grace   time.Time
	applies map[schema.SpaceID]int
	deleted []schema.ContainerID
	notify  []func(schema.SpaceID)
}

func newFakeCluster() *fakeCluster {
	return &fakeCluster{spaces: map[schema.SpaceID]map[string]string{}, applies: map[schema.SpaceID]int{}}
}

func (c *fakeCluster) refuse(op string, id schema.SpaceID) error {
	c.mu.Lock()
	fail := c.fail
	c.mu.Unlock()
	if fail == nil {
		return nil
	}
	return fail(op, id)
}

func (c *fakeCluster) setFail(fail func(op string, id schema.SpaceID) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = fail
}

func (c *fakeCluster) Owned() []schema.SpaceID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.spaces))
}

func (c *fakeCluster) Live(id schema.SpaceID) Live {
	c.mu.Lock()
	defer c.mu.Unlock()
	containers, ok := c.spaces[id]
	if !ok {
		return Live{Namespace: NamespaceAbsent}
	}
	live := Live{Namespace: NamespaceOwned, Containers: map[string]LiveContainer{}}
	for name, content := range containers {
		live.Containers[name] = LiveContainer{
			Revision: schema.Revision(content), Deployed: true, Replicas: 1, Current: true,
			Pod: &LivePod{Name: name, Scheduled: true, Ready: true, WasReady: true},
		}
	}
	return live
}

// tell calls the watches, as the real ones are called: from somewhere else.
func (c *fakeCluster) tell(id schema.SpaceID) {
	c.mu.Lock()
	notify := slices.Clone(c.notify)
	c.mu.Unlock()
	for _, n := range notify {
		n(id)
	}
}

func (c *fakeCluster) Apply(_ context.Context, id schema.SpaceID, objects []*unstructured.Unstructured, _ schema.Revision) (Applied, error) {
	var a Applied
	err := c.refuse("apply", id)
	c.mu.Lock()
	c.applies[id]++
	if c.spaces[id] == nil && err == nil {
		c.spaces[id] = map[string]string{}
	}
	for i, o := range objects {
		if err != nil && i == len(objects)-1 {
			break // a failing apply has come halfway
		}
		if c.spaces[id] == nil {
			break
		}
		content, _ := o.Object["content"].(string)
		if c.spaces[id][o.GetName()] == content {
			a.Unchanged++
			continue
		}
		c.spaces[id][o.GetName()] = content
		a.Applied++
	}
	c.mu.Unlock()
	if a.Applied > 0 {
		c.tell(id)
	}
	return a, err
}

func (c *fakeCluster) Prune(_ context.Context, id schema.SpaceID, keep []*unstructured.Unstructured, _ time.Duration) (Pruned, error) {
	if err := c.refuse("prune", id); err != nil {
		return Pruned{}, err
	}
	names := map[string]bool{}
	for _, o := range keep {
		names[o.GetName()] = true
	}
	n := c.delete(id, func(name string) bool { return !names[name] })
	return Pruned{Deleted: n, Done: true}, nil
}

func (c *fakeCluster) Remove(_ context.Context, id schema.SpaceID, _ time.Duration) (Pruned, error) {
	if err := c.refuse("remove", id); err != nil {
		return Pruned{}, err
	}
	n := c.delete(id, func(string) bool { return true })
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.grace.IsZero() && time.Now().Before(c.grace) {
		return Pruned{Deleted: n, Next: c.grace}, nil
	}
	delete(c.spaces, id)
	return Pruned{Deleted: n, Done: true}, nil
}

func (c *fakeCluster) delete(id schema.SpaceID, unwanted func(string) bool) int {
	c.mu.Lock()
	n := 0
	for name := range c.spaces[id] {
		if unwanted(name) {
			gone := schema.ContainerID{Space: id, Name: name}
			if c.deleting != nil {
				c.deleting(gone)
			}
			delete(c.spaces[id], name)
			c.deleted = append(c.deleted, gone)
			n++
		}
	}
	c.mu.Unlock()
	if n > 0 {
		c.tell(id)
	}
	return n
}

func (c *fakeCluster) State(context.Context) (State, error) {
	err := c.refuse("state", schema.SpaceID{})
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state, err
}

func (c *fakeCluster) SaveState(_ context.Context, s State) error {
	err := c.refuse("save", schema.SpaceID{})
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.state = s
		c.saves++
	}
	return err
}

// confirm is what an operator does.
func (c *fakeCluster) confirm(r schema.Revision) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.Confirmed = r
}

func (c *fakeCluster) saved() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// holds is everything that the cluster holds.
func (c *fakeCluster) holds() files {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := files{}
	for id, containers := range c.spaces {
		for name, content := range containers {
			f[schema.ContainerID{Space: id, Name: name}] = content
		}
	}
	return f
}

// edit is what a stranger does behind our back.
func (c *fakeCluster) edit(id schema.ContainerID, content string) {
	c.mu.Lock()
	if c.spaces[id.Space] == nil {
		c.spaces[id.Space] = map[string]string{}
	}
	c.spaces[id.Space][id.Name] = content
	c.mu.Unlock()
	c.tell(id.Space)
}

func (c *fakeCluster) applied(id schema.SpaceID) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.applies[id]
}

// fixture is a loop that runs over fakes within a synctest bubble.
type fixture struct {
	*Loop
	repo    *fakeRepo
	cluster *fakeCluster
	stop    func()
}

// start runs a loop until the test ends or stop is called.
func start(t *testing.T, repo *fakeRepo, cluster *fakeCluster) *fixture {
	t.Helper()
	l := New(Options{Source: repo, Loader: repo, Renderer: repo, Cluster: cluster, Workers: 4})
	cluster.mu.Lock()
	cluster.notify = append(cluster.notify, l.Notify)
	cluster.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	f := &fixture{Loop: l, repo: repo, cluster: cluster}
	f.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: got %v, want nil", err)
		}
	})
	t.Cleanup(f.stop)
	synctest.Wait()
	return f
}

// push commits and lets the loop do what it can without waiting.
func (f *fixture) push(c files, trailers ...string) schema.Revision {
	r := f.repo.push(c, trailers...)
	f.Poke()
	synctest.Wait()
	return r
}

// let gives the loop time for what it tries again.
func let(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func container(s string) schema.ContainerID {
	id, err := schema.ParseContainerID(s)
	if err != nil {
		panic(err)
	}
	return id
}

func fleetOf(ids ...string) files {
	f := files{}
	for _, id := range ids {
		f[container(id)] = "v1"
	}
	return f
}

// many is n spaces of one container each.
func many(n int) files {
	f := files{}
	for i := range n {
		id := schema.SpaceID{User: "alice", Name: fmt.Sprintf("s%d", i)}
		f[schema.ContainerID{Space: id, Name: id.Name}] = "v1"
	}
	return f
}

// without copies f, leaving n of its containers out, the first in order.
func without(f files, n int) files {
	f = maps.Clone(f)
	for _, id := range sorted(f)[:n] {
		delete(f, id)
	}
	return f
}
