// Package reconcile makes the cluster what the head of the repository says,
// and tells what became of it.
//
// One goroutine follows the head: it reads the repository, loads the fleet and
// plans which spaces have changed and which deletions may happen. Workers take
// spaces from a queue that says which, never what: whoever holds a space reads
// the newest plan, so later work replaces earlier work by itself, and the same
// pass that applies a commit repairs drift. One observer turns what the watches
// say into statuses, beside the queue, so that a busy queue delays no status;
// the Hub hands them to whoever listens.
//
// The rules that keep things from being deleted are pure functions in halt.go
// and deletion.go.
package reconcile

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"bayplan.dev/schema"
)

// Source is what the loop needs of the repository. Its errors never show credentials.
type Source interface {
	// Head reads the newest revision of the served branch.
	Head(ctx context.Context) (schema.Snapshot, error)
	// History tells what lies between two revisions. A from that the repository
	// doesn't have isn't an error: nothing descends from it.
	History(ctx context.Context, from, to schema.Revision) (schema.History, error)
}

// Loader reads what a snapshot says.
type Loader interface {
	Load(ctx context.Context, s schema.Snapshot) (*schema.Fleet, error)
}

// Renderer turns one space into objects, in the order in which they are
// applied. It is called from several goroutines; the loop changes no object.
type Renderer interface {
	Space(fleet *schema.Fleet, id schema.SpaceID) ([]*unstructured.Unstructured, error)
}

// DefaultWorkers is how many spaces are worked on at once when Options don't say.
const DefaultWorkers = 8

// Options are what a Loop is made of. Log may be nil.
type Options struct {
	Source   Source
	Loader   Loader
	Renderer Renderer
	Cluster  Cluster
	Log      *slog.Logger
	// Workers is how many spaces are worked on at once.
	Workers int
	// Tidy writes into the repository what has expired: Stop as a state, Delete by
	// removing the document. It is called again until it does, and may be nil.
	// A commit that removes more than a sync may delete needs TrailerAllowMassDelete.
	Tidy func(ctx context.Context, expired []Expiry) error
	// Ahead is how far the API server's clock is ahead of ours, 0 when that isn't
	// known. Nothing expires by a clock that is far ahead of it. It may be nil.
	Ahead func() time.Duration
	// At reads an earlier revision that the head descends from. Without it an
	// operation counts as superseded by any later change of the file that it is about.
	At func(ctx context.Context, revision schema.Revision) (schema.Snapshot, error)
}

// Loop follows the repository. All methods are safe for concurrent use; Run is called once.
type Loop struct {
	source   Source
	loader   Loader
	renderer Renderer
	cluster  Cluster
	log      *slog.Logger
	workers  int
	at       func(ctx context.Context, revision schema.Revision) (schema.Snapshot, error)
	tidy     func(ctx context.Context, expired []Expiry) error
	hub      *Hub
	// operations has a lock of its own, which is taken after mu.
	operations *Operations
	metrics    *Metrics

	fleet  atomic.Pointer[schema.Fleet]
	queues atomic.Pointer[queues]
	// poked is when the repository was first said to have changed, in Unix nanoseconds, or 0.
	poked atomic.Int64
	// ending wakes the goroutine that waits for ends, untidy the one that writes
	// them down; each has a capacity of 1.
	ending, untidy chan struct{}
	// look, reload and save wake the goroutine that follows the head; each has a capacity of 1.
	look, reload, save chan struct{}

	mu     sync.Mutex
	plan   *plan
	expiry expiry
	// state is ours, saved what the cluster is known to hold of it.
	state, saved State
	stateRead    bool
	// deferred is true while state.Synced is ahead of saved.Synced by nothing
	// but revisions that changed nothing.
	deferred bool
	progress *progress
	records  map[schema.SpaceID]*record
	// passes counts the passes that have ended; asked remembers what outdated found.
	passes int
	asked  answer
	// gaps is what absent found the last time, looked are the spaces that
	// something was seen of since.
	gaps   *gaps
	looked map[schema.SpaceID]struct{}
	// deployed is the number of live containers of each owned space, and their sum.
	deployed      map[schema.SpaceID]int
	deployedTotal int
	// stale is why the repository couldn't be followed at last, or nil.
	stale       error
	staleReason string
	// ordinal counts the plans; planned holds when each recent revision was planned first.
	ordinal int
	planned map[schema.Revision]int
	sums    sums
	moved   chan struct{}
}

// sums are the objects that were handled for the followed revision.
type sums struct{ applied, pruned, unchanged int }

// New returns a Loop that does nothing until Run.
func New(o Options) *Loop {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Workers <= 0 {
		o.Workers = DefaultWorkers
	}
	l := &Loop{
		source: o.Source, loader: o.Loader, renderer: o.Renderer, cluster: o.Cluster,
		log: o.Log, workers: o.Workers, at: o.At, tidy: o.Tidy, hub: NewHub(),
		look: make(chan struct{}, 1), reload: make(chan struct{}, 1), save: make(chan struct{}, 1),
		ending: make(chan struct{}, 1), untidy: make(chan struct{}, 1), expiry: expiry{clock: newClock(o.Ahead)},
		progress: newProgress(),
		records:  map[schema.SpaceID]*record{},
		looked:   map[schema.SpaceID]struct{}{},
		deployed: map[schema.SpaceID]int{},
		planned:  map[schema.Revision]int{},
		moved:    make(chan struct{}),
	}
	l.metrics, l.operations = newMetrics(l), newOperations(l)
	return l
}

// Run follows the repository until ctx ends, and returns nil then. The watches
// of the cluster must have been filled before: what they don't show yet would
// count as absent.
func (l *Loop) Run(ctx context.Context) error {
	q := newQueues()
	l.queues.Store(q)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		<-ctx.Done()
		q.shutDown()
		return nil
	})
	g.Go(func() error { return l.follow(ctx) })
	g.Go(func() error { return l.watch(q) })
	g.Go(func() error { return l.operations.trace(ctx) })
	g.Go(func() error { return l.end(ctx) })
	g.Go(func() error { return l.tidyUp(ctx) })
	for range l.workers {
		g.Go(func() error { return l.work(ctx, q) })
	}
	return g.Wait()
}

// Poke has the loop look at the repository now. It never blocks.
func (l *Loop) Poke() {
	l.poked.CompareAndSwap(0, time.Now().UnixNano())
	trigger(l.look)
}

// Notify says that something of the space has changed in the cluster. It never
// blocks. Before Run it does nothing, because Run begins with every space.
func (l *Loop) Notify(id schema.SpaceID) {
	if q := l.queues.Load(); q != nil {
		q.look.Add(id)
		q.work.Add(id)
	}
}

// NotifyState says that somebody has changed the State in the cluster. It never blocks.
func (l *Loop) NotifyState() { trigger(l.reload) }

// Hub is where the statuses are.
func (l *Loop) Hub() *Hub { return l.hub }

// Operations is what becomes of changes.
func (l *Loop) Operations() *Operations { return l.operations }

// Metrics are the loop's figures, to be registered with Prometheus.
func (l *Loop) Metrics() *Metrics { return l.metrics }

// Fleet is what the followed revision says, or nil before the first one has been loaded.
func (l *Loop) Fleet() *schema.Fleet { return l.fleet.Load() }

// Live is what the watches say of one space.
func (l *Loop) Live(id schema.SpaceID) Live { return l.cluster.Live(id) }

// Settled waits until the revision, or one that the loop followed after it, has
// been handled in every space without an error, frozen spaces and what a halt
// holds back aside. An empty revision means the one that is followed now.
func (l *Loop) Settled(ctx context.Context, revision schema.Revision) error {
	for {
		l.mu.Lock()
		_, known := l.planned[revision]
		settled := l.plan != nil && (known || revision == "") && l.progress.settled()
		moved := l.moved
		l.mu.Unlock()
		if settled {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// trigger fills a channel of capacity 1.
func trigger(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
