// Package access is the way into a running container: commands, logs, files,
// ports, figures and events. Nothing is installed in an image and no key is
// ever inside it: everything goes through Kubernetes' own exec, log and
// port-forward.
//
//	access, err := access.New(access.Options{Config: config, Locate: locate})
//	exit, err := access.Exec(ctx, id, access.Exec{Command: []string{"uptime"}, Stdout: w})
//	err = access.Files(id).Write(ctx, "/data/a.bin", r, access.WriteOptions{Truncate: true})
//
// An error's message may be shown to the container's owner. Its code says what
// it means: NotFound (no such container or file), Conflict (the container
// doesn't run; the message says what to do), Invalid (the input, or an image
// that lacks what is asked of it), Forbidden (the container's own permissions),
// Unavailable (the cluster doesn't answer). Who may do what is not asked here:
// that is the caller's to know before.
//
// Data is never gathered: a slow reader slows the container.
package access

import (
	"log/slog"
	"net/http"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"bayplan.dev/schema"
)

// Target is what is known of a container's Pod.
type Target struct {
	Namespace string
	// Pod is empty where there is none yet.
	Pod       string
	UID       string
	Container string
	Node      string
	// Claims are the names of the claims that the Pod mounts.
	Claims []string
	// Down is why nothing can be run in the container just now; empty when it runs.
	Down string
}

// Options are what an Access needs.
type Options struct {
	// Config is the way to the API server.
	Config *rest.Config
	// Locate finds the Pod of a container without asking the API server. It
	// fails with NotFound when there is no such container, and with Conflict,
	// and how to start it, when it is meant to be stopped.
	Locate func(schema.ContainerID) (Target, error)
	// Log is slog.Default() when nil.
	Log *slog.Logger
}

// Access reaches into running containers. It is safe for concurrent use, and
// leaves nothing running beyond a call and what that has returned.
type Access struct {
	log     *slog.Logger
	config  *rest.Config
	core    *rest.RESTClient
	streams *http.Client
	locate  func(schema.ContainerID) (Target, error)
	// shellLess are the Pods whose image has no shell, by UID.
	shellLess known
	// bridgeLess are those whose image has no nc that is fit.
	bridgeLess known
	// webSockets is true when nothing but those gets through to the API server.
	webSockets atomic.Bool
	// measured is what the metrics API says of Pods, by namespace and name.
	measured  answers[podMetrics]
	noMetrics absence
	summaries summaries
}

// New returns an Access that sends nothing yet.
func New(options Options) (*Access, error) {
	log := options.Log
	if log == nil {
		log = slog.Default()
	}
	config := rest.CopyConfig(options.Config)
	// A limit on the rate only delays.
	config.QPS = -1
	config.RateLimiter = nil
	// Every exec opens a connection of its own; the files are read once.
	if err := rest.LoadTLSFiles(config); err != nil {
		return nil, schema.Errorf(schema.Invalid, "cluster configuration: %w", err)
	}
	typed := rest.CopyConfig(config)
	typed.GroupVersion = &corev1.SchemeGroupVersion
	typed.APIPath = "/api"
	typed.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	core, err := rest.RESTClientFor(typed)
	if err != nil {
		return nil, schema.Errorf(schema.Invalid, "cluster configuration: %w", err)
	}
	streams, err := streamClient(config)
	if err != nil {
		return nil, schema.Errorf(schema.Invalid, "cluster configuration: %w", err)
	}
	return &Access{log: log, config: config, core: core, streams: streams, locate: options.Locate}, nil
}

// running returns the container's Pod, or Conflict when nothing can be run in it.
func (a *Access) running(id schema.ContainerID) (Target, error) {
	t, err := a.locate(id)
	if err != nil {
		return Target{}, err
	}
	if t.Down != "" {
		return Target{}, schema.Errorf(schema.Conflict, "container %s isn't running: %s", id, t.Down)
	}
	return t, nil
}
