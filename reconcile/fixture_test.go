package reconcile

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"bayplan.dev/schema"
)

// fixture is a loop that runs over fakes within a synctest bubble.
type fixture struct {
	*Loop
	repo    *fakeRepo
	cluster *fakeCluster
	stop    func()
}

// start runs a loop until the test ends or stop is called.
func start(t *testing.T, repo *fakeRepo, cluster *fakeCluster, change ...func(*Loop)) *fixture {
	t.Helper()
	l := New(Options{Source: repo, Loader: repo, Renderer: repo, Cluster: cluster, Workers: 4, At: repo.snapshotAt})
	for _, c := range change {
		c(l)
	}
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
