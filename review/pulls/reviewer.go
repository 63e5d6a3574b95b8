package pulls

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"bayplan.dev/schema"
)

// Repository is what reviews need of the fleet's.
type Repository interface {
	// Head reads what the branch holds.
	Head(ctx context.Context) (schema.Snapshot, error)
	// History tells what lies between two revisions.
	History(ctx context.Context, from, to schema.Revision) (schema.History, error)
	// Recent lists the newest commits of the branch up to one, that one included.
	Recent(ctx context.Context, to schema.Revision, limit int) ([]schema.Revision, error)
	// Change fetches the head of a pull request. Errors: Conflict when the ref holds
	// another commit by now, Exceeded when it is too large.
	Change(ctx context.Context, ref string, head schema.Revision) (Change, error)
}

// Change is the head of a pull request and where it left the branch. It can be
// read until Close.
type Change struct {
	// Base has no Revision when the two have no history in common.
	Base, Head schema.Snapshot
	// Own are commits of the change alone, among them the first that the branch
	// takes over if it takes any.
	Own   []schema.Revision
	Close func() error
}

// Loader reads what a snapshot says.
type Loader interface {
	Load(ctx context.Context, s schema.Snapshot) (*schema.Fleet, error)
}

// Options are what a Reviewer is made of; Syncs and Log may be nil.
type Options struct {
	Forge      Forge
	Repository Repository
	// Loader makes a loader for each of the workers.
	Loader func() Loader
	// Render is as in review.Options.
	Render func(*schema.Fleet, schema.SpaceID) ([]*unstructured.Unstructured, error)
	// Syncs tells how far the cluster follows the branch.
	Syncs Syncs
	// Fleet tells apart fleets that follow the same repository.
	Fleet string
	// Poll is how often the forge is asked without being poked, a minute when 0;
	// Pause is the least time between two looks, 2 s when 0, and longer where many
	// are open.
	Poll, Pause time.Duration
	// Timeout bounds one review, two minutes when 0; MaxFiles how many files may
	// differ, 20,000 when 0.
	Timeout  time.Duration
	MaxFiles int
	Log      *slog.Logger
}

// workers is how many pull requests are reviewed side by side.
const workers = 2

// Reviewer reviews pull requests. Run is called once; Poke any time.
type Reviewer struct {
	options Options
	log     *slog.Logger
	outbox  *outbox
	sync    tracker
	// poked wakes who looks, ready who reviews.
	poked, ready chan struct{}

	mu    sync.Mutex
	pulls map[int64]*pull
	// tip is what the branch held at the last look.
	tip schema.Revision
}

// New returns a Reviewer that does nothing until Run.
func New(o Options) *Reviewer {
	for field, value := range map[*time.Duration]time.Duration{&o.Poll: time.Minute, &o.Pause: 2 * time.Second, &o.Timeout: 2 * time.Minute} {
		if *field == 0 {
			*field = value
		}
	}
	if o.MaxFiles == 0 {
		o.MaxFiles = 20_000
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Reviewer{
		options: o, log: o.Log, outbox: newOutbox(o.Forge, o.Log),
		poked: make(chan struct{}, 1), ready: make(chan struct{}, workers), pulls: map[int64]*pull{},
	}
}

// Poke has the reviewer look at the forge soon. It never blocks.
func (r *Reviewer) Poke() {
	select {
	case r.poked <- struct{}{}:
	default:
	}
}

// Run reviews until ctx ends, and returns nil then.
func (r *Reviewer) Run(ctx context.Context) error {
	group, inner := errgroup.WithContext(ctx)
	group.Go(func() error { return r.watch(inner) })
	group.Go(func() error { return r.outbox.run(inner) })
	for range workers {
		group.Go(func() error { return r.work(inner) })
	}
	if r.options.Syncs != nil {
		group.Go(func() error { return r.follow(inner) })
	}
	if err := group.Wait(); ctx.Err() == nil {
		return err
	}
	return nil
}

// wake tells the workers that there may be something to review.
func (r *Reviewer) wake() {
	for range workers {
		select {
		case r.ready <- struct{}{}:
		default:
		}
	}
}

// sleep waits d or until ctx ends, and says whether it goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
