package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"bayplan.dev/reconcile/kube"
	"bayplan.dev/render"
	"bayplan.dev/review"
	"bayplan.dev/schema"
)

// liveOptions name the cluster that bay diff asks.
type liveOptions struct {
	on                         bool
	kubeconfig, context, fleet string
}

func (o *liveOptions) register(flags *pflag.FlagSet) {
	flags.BoolVar(&o.on, "live", false, "also ask a cluster what it would refuse, change or fill in, and what has drifted; it isn't changed")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "with --live: kubeconfig of the cluster (default $KUBECONFIG; without one that of the Pod)")
	flags.StringVar(&o.context, "kube-context", "", "with --live: context of the kubeconfig")
	flags.StringVar(&o.fleet, "fleet", "", "with --live: name of this fleet where several share the cluster")
}

func (o *liveOptions) cluster(a *app) (*kube.Cluster, error) {
	config, err := kube.Config(cmp.Or(o.kubeconfig, a.getenv("KUBECONFIG")), o.context)
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return kube.New(config, kube.Options{Log: log, Fleet: o.fleet, Version: version})
}

// trials ask a cluster about the objects of some spaces.
type trials struct {
	cluster    *kube.Cluster
	renderer   *render.Renderer
	base, head *schema.Fleet
	options    review.Options
}

// run tries every object that the spaces will have.
func (t trials) run(ctx context.Context, ids []schema.SpaceID) (*review.Live, error) {
	live := &review.Live{}
	for _, id := range ids {
		if t.head.Spaces.Get(id) == nil {
			live.Untried = append(live.Untried, fmt.Sprintf("space %s: it is deleted", id))
			continue
		}
		after, err := t.renderer.Space(t.head, id)
		if err != nil {
			live.Untried = append(live.Untried, fmt.Sprintf("space %s: %v", id, err))
			continue
		}
		before, err := t.renderer.Space(t.base, id)
		if err != nil {
			before = nil // it was frozen or isn't there: nothing is known of what should be
		}
		if err := t.space(ctx, live, id, [2][]*unstructured.Unstructured{before, after}); err != nil {
			return nil, err
		}
	}
	return live, nil
}

func (t trials) space(ctx context.Context, live *review.Live, id schema.SpaceID, objects [2][]*unstructured.Unstructured) error {
	base := map[[2]string]*unstructured.Unstructured{}
	for _, o := range objects[0] {
		base[[2]string{o.GetKind(), o.GetName()}] = o
	}
	untried := 0
	for _, o := range objects[1] {
		found, err := t.cluster.DryRun(ctx, id, base[[2]string{o.GetKind(), o.GetName()}], o)
		if err != nil {
			return err
		}
		if found.Untried {
			untried++
			continue
		}
		live.Trials = append(live.Trials, t.trial(found, o))
	}
	if untried > 0 {
		live.Untried = append(live.Untried, fmt.Sprintf("%s of space %s: its namespace isn't there yet", plural(untried, "object"), id))
	}
	return nil
}

// trial says what the cluster's answer comes to.
func (t trials) trial(found kube.DryRun, wanted *unstructured.Unstructured) review.Trial {
	trial := review.Trial{Object: found.Object, Replaced: found.Replaced}
	if found.Err != nil {
		trial.Refused = found.Err.Error()
	}
	trial.Drift, _ = review.Fields(mapOrNil(found.Want), mapOrNil(found.Have), t.options)
	switch {
	case found.After == nil:
	case found.Before != nil:
		trial.Changes, _ = review.Fields(found.Before, found.After, t.options)
	default:
		all, _ := review.Fields(wanted.Object, found.After, t.options)
		for _, f := range all {
			// Quantities are only written in another way.
			if f.Action == schema.ActionCreate && !strings.HasPrefix(f.Path, "metadata.annotations") {
				trial.Defaults = append(trial.Defaults, f)
			}
		}
	}
	return trial
}

// mapOrNil makes an empty value of a nil map, which an interface would hide.
func mapOrNil(m map[string]any) any {
	if m == nil {
		return nil
	}
	return m
}
