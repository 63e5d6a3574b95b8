// Package kube is the only client of the cluster: it applies, prunes, removes
// and watches the objects of spaces.
//
// Reads are answered from watches, which keep of every object only who owns
// it, a digest of the fields that are ours, and what a status needs. Writes are
// server-side apply with one field manager, in the order in which the objects
// are given, and only after it is proved that what is there is ours. An object
// that already is as intended costs no request.
//
//	cluster, err := kube.New(config, kube.Options{Log: log, Notify: queue.Add})
//	go cluster.Run(ctx)       // the watches
//	err = cluster.Synced(ctx) // their first lists are in
//	applied, err := cluster.Apply(ctx, space, objects, revision)
package kube

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"

	"bayplan.dev/reconcile"
	"bayplan.dev/schema"
)

var _ reconcile.Cluster = (*Cluster)(nil)

// Options are what a Cluster may be told.
type Options struct {
	// Log gets what client-go has to say too; slog.Default() when nil.
	Log *slog.Logger
	// Notify is called whenever something of a space has changed in the
	// cluster. It must not block.
	Notify func(schema.SpaceID)
	// NotifyState is called whenever the State may have changed. It must not block.
	NotifyState func()
	// Fleet tells this fleet's objects from those of others in the same
	// cluster; empty where there is one.
	Fleet string
	// Version is told to the API server as "bayplan/<version>".
	Version string
}

// Cluster reads and writes one Kubernetes cluster. It is safe for concurrent
// use, with at most one writing call per space at a time.
type Cluster struct {
	log     *slog.Logger
	client  *client
	shape   shape
	view    *view
	watches []*watch
	// stateWatch is the one of watches that tells of the State.
	stateWatch int
	// differences counts what the sweep found that no watch has told.
	differences prometheus.Counter
}

var _ http.RoundTripper = (*transport)(nil)

// New returns a Cluster that sends nothing yet.
func New(config *rest.Config, options Options) (*Cluster, error) {
	log := options.Log
	if log == nil {
		log = slog.Default()
	}
	client, err := newClient(config, log, options)
	if err != nil {
		return nil, schema.Errorf(schema.Invalid, "cluster configuration: %w", err)
	}
	shape, err := newShape(fleet(options.Fleet))
	if err != nil {
		return nil, err
	}
	c := &Cluster{
		log:    log,
		client: client,
		shape:  shape,
		view:   newView(options),
	}
	c.differences = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "bayplan_sweep_differences_total",
		Help: "Objects that were otherwise than the watches had told.",
	})
	c.watches = c.newWatches()
	c.stateWatch = slices.IndexFunc(c.watches, func(w *watch) bool { return w.kind.name() == kindConfigMap })
	return c, nil
}

// Metrics are the cluster's figures, to be registered with Prometheus.
func (c *Cluster) Metrics() prometheus.Collector { return c.differences }

// Run keeps the watches open until ctx ends, and slowly checks what they tell.
// They recover from whatever happens to the API server by themselves.
func (c *Cluster) Run(ctx context.Context) error {
	var group errgroup.Group
	for _, w := range c.watches {
		group.Go(func() error {
			w.run(ctx, c.log)
			return nil
		})
	}
	group.Go(func() error {
		if c.Synced(ctx) == nil {
			s := c.newSweep()
			s.run(ctx, s.step)
		}
		return nil
	})
	return group.Wait()
}

// Synced waits until the first lists of all watches are in. Before that, reads
// say less than there is. It fails as ctx ends, with Unavailable.
func (c *Cluster) Synced(ctx context.Context) error {
	for _, w := range c.watches {
		select {
		case <-w.synced:
		case <-ctx.Done():
			return schema.Errorf(schema.Unavailable, "watch %s: the API server %s has sent no list yet: %w", w.kind.resource, c.client.host, ctx.Err())
		}
	}
	return nil
}

// requestTimeout bounds every request but watches.
const requestTimeout = 30 * time.Second
