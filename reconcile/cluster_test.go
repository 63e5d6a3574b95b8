package reconcile

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"bayplan.dev/schema"
)

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
	// pods are those that aren't simply ready.
	pods map[schema.ContainerID]LivePod
}

func newFakeCluster() *fakeCluster {
	return &fakeCluster{spaces: map[schema.SpaceID]map[string]string{}, applies: map[schema.SpaceID]int{}, pods: map[schema.ContainerID]LivePod{}}
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
		now := LiveContainer{
			Revision: schema.Revision(content), Deployed: true, Replicas: 1, Current: true,
			Pod: &LivePod{Name: name, Scheduled: true, Ready: true, WasReady: true},
		}
		if strings.HasSuffix(content, halt) {
			now.Replicas, now.Pod = 0, nil
		} else if pod, ok := c.pods[schema.ContainerID{Space: id, Name: name}]; ok {
			now.Pod = &pod
		}
		live.Containers[name] = now
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

// setPod is what the kubelet does.
func (c *fakeCluster) setPod(id schema.ContainerID, pod LivePod) {
	c.mu.Lock()
	c.pods[id] = pod
	c.mu.Unlock()
	c.tell(id.Space)
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
