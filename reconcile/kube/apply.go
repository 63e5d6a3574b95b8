package kube

import (
	"context"
	"log/slog"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"bayplan.dev/reconcile"
	"bayplan.dev/schema"
)

// pass is one Apply.
type pass struct {
	*Cluster
	id       schema.SpaceID
	revision schema.Revision
}

// Apply implements reconcile.Cluster.
//
// An object is left alone when its intent is the one that it was last applied
// with and none of our fields has been tampered with. Everything else is sent
// as a whole. The revision annotation moves with the intent only: what repairs
// an object keeps it. Nothing follows an object that failed, which is what
// keeps Pods behind their policies (promise 5).
func (c *Cluster) Apply(ctx context.Context, id schema.SpaceID, objects []*unstructured.Unstructured, revision schema.Revision) (reconcile.Applied, error) {
	p := pass{Cluster: c, id: id, revision: revision}
	var done reconcile.Applied
	for _, o := range objects {
		if err := ctx.Err(); err != nil {
			return done, c.client.wrap(err)
		}
		changed, err := p.apply(ctx, o)
		if err != nil {
			return done, err
		}
		if changed {
			done.Applied++
		} else {
			done.Unchanged++
		}
	}
	return done, nil
}

func (p *pass) apply(ctx context.Context, o *unstructured.Unstructured) (bool, error) {
	in, err := newIntent(p.shape.fleet, p.id, o)
	if err != nil {
		return false, err
	}
	changed, err := p.make(ctx, in)
	if err != nil {
		return false, during("apply", in.place, p.client.wrap(err))
	}
	return changed, nil
}

// make proves that what is at the place may be written, and writes it if need be.
func (p *pass) make(ctx context.Context, in intent) (bool, error) {
	r := p.view.get(in.place)
	switch {
	case r == nil:
		return true, p.makeUnseen(ctx, in)
	case !r.ownedBy(p.id):
		return false, foreign(in.place, p.id)
	case r.deleting:
		return false, goesAway(in.place)
	}
	changed, err := p.change(ctx, in, r)
	if supplanted(err) {
		// Another object stands there now, and the watch hasn't told us yet.
		return true, p.makeUnseen(ctx, in)
	}
	return changed, err
}

// change writes an object of ours if it isn't as intended.
func (p *pass) change(ctx context.Context, in intent, r *record) (bool, error) {
	back, err := p.putBack(ctx, in.place, r)
	if err != nil {
		return false, err
	}
	if p.unchanged(in, r) {
		return back, nil
	}
	if err := p.admit(ctx, in, r); err != nil {
		return false, err
	}
	return true, p.send(ctx, in, r, precondition{uid: r.uid})
}

// unchanged says whether the object needs no write.
func (p *pass) unchanged(in intent, r *record) bool {
	if r.intent != in.digest || r.revision == "" {
		return false
	}
	if r.good == r.mark {
		return true
	}
	want, err := p.shape.intended(in.kind, in.object)
	if err != nil || want != r.fields {
		return false
	}
	p.view.verified(in.place, r)
	return true
}

// makeUnseen writes an object that no watch knows. Nearly always there is none,
// and one request makes it and proves that. Else it is foreign and has no label
// of ours, or ours and has lost it.
func (p *pass) makeUnseen(ctx context.Context, in intent) error {
	err := p.send(ctx, in, nil, precondition{absent: true})
	if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
		return err
	}
	found, err := p.prove(ctx, in.place)
	if err != nil {
		return err
	}
	if found == "" {
		return goesAway(in.place)
	}
	return p.send(ctx, in, nil, precondition{uid: found})
}

// prove returns the uid of our object at the place, "" when there is nothing,
// and a Conflict error when there is something foreign.
func (p *pass) prove(ctx context.Context, at place) (types.UID, error) {
	found, err := p.client.read(ctx, at)
	switch {
	case apierrors.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", err
	case p.shape.fleet.space(found.Annotations[schema.AnnotationOwner]) != p.id.String():
		return "", foreign(at, p.id)
	case found.DeletionTimestamp != nil:
		return "", goesAway(at)
	}
	return found.UID, nil
}

// send applies the intent. Only an object that was proved to be ours has a uid,
// and only then are fields taken from others by force.
func (p *pass) send(ctx context.Context, in intent, was *record, only precondition) error {
	revision := p.revision
	if was != nil && was.intent == in.digest && was.revision != "" {
		revision = was.revision
	}
	body, err := in.body(revision, only)
	if err != nil {
		return err
	}
	defer p.view.writing(in.place)()
	live, err := p.client.apply(ctx, in.place, body, applyMode{force: only.uid != ""})
	if apierrors.IsNotFound(err) {
		return schema.Errorf(schema.Unavailable, "its namespace is gone: %w", err)
	}
	if err != nil {
		return err
	}
	p.view.put(seen{kind: in.kind.name(), namespace: in.namespace, name: in.name, record: p.shape.answer(in.kind, live)})
	p.log.DebugContext(ctx, "object applied", slog.String("space", p.id.String()), slog.String("object", in.String()),
		slog.String("revision", string(revision)))
	return nil
}
