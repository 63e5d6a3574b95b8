package kube

import (
	"context"
	"encoding/json"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"bayplan.dev/reconcile"
	"bayplan.dev/schema"
)

const (
	stateName = "bayplan-state"
	stateKey  = "state.json"
	// AnnotationConfirm on the state's ConfigMap is the revision whose halt an operator lifts.
	AnnotationConfirm = "bayplan.dev/confirm"
)

// State implements reconcile.Cluster. Nothing written yet is the zero State.
// The first time it asks the API server, because a watch may be behind what
// another leader has saved; then the watch answers.
func (c *Cluster) State(ctx context.Context) (reconcile.State, error) {
	held, err := c.heldState(ctx)
	if err != nil {
		return reconcile.State{}, during("read", c.client.statePlace(), c.client.wrap(err))
	}
	if held == nil {
		return reconcile.State{}, nil
	}
	return decodeState(held)
}

// heldState is the ConfigMap as it is known, nil when there is none. It must
// not be changed.
func (c *Cluster) heldState(ctx context.Context) (*corev1.ConfigMap, error) {
	if held, ok := c.view.held.get(); ok && c.watches[c.stateWatch].filled() {
		return held, nil
	}
	held, err := c.client.readState(ctx)
	if apierrors.IsNotFound(err) {
		held, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	return c.view.held.learn(held), nil
}

func decodeState(held *corev1.ConfigMap) (reconcile.State, error) {
	var state reconcile.State
	if data := held.Data[stateKey]; data != "" {
		if err := json.Unmarshal([]byte(data), &state); err != nil {
			return reconcile.State{}, schema.Errorf(schema.Invalid, "read ConfigMap/%s/%s: %s: %w", held.Namespace, held.Name, stateKey, err)
		}
	}
	state.Confirmed = schema.Revision(held.Annotations[AnnotationConfirm])
	return state, nil
}

// SaveState implements reconcile.Cluster. It costs one request. Of two that
// save at the same time one fails with Conflict. Confirmed isn't saved: only
// Confirm sets it.
func (c *Cluster) SaveState(ctx context.Context, state reconcile.State) error {
	state.Confirmed = ""
	encoded, err := json.Marshal(state)
	if err != nil {
		return schema.Errorf(schema.Internal, "save state: %w", err)
	}
	held, err := c.heldState(ctx)
	if err == nil {
		if held != nil && held.Data[stateKey] == string(encoded) {
			return nil
		}
		held, err = c.writeState(ctx, held, string(encoded))
	}
	if err != nil {
		c.view.held.forget()
		return during("save", c.client.statePlace(), c.client.wrap(err))
	}
	c.view.held.learn(held)
	c.log.DebugContext(ctx, "state saved", slog.String("revision", string(state.Synced)))
	return nil
}

// writeState writes over what is held, whose resourceVersion is the
// precondition, and returns the ConfigMap as it then is.
func (c *Cluster) writeState(ctx context.Context, held *corev1.ConfigMap, encoded string) (*corev1.ConfigMap, error) {
	if held == nil {
		return c.makeState(ctx, encoded)
	}
	next := held.DeepCopy()
	next.Data = map[string]string{stateKey: encoded}
	err := c.client.updateState(ctx, next)
	if apierrors.IsNotFound(err) {
		return nil, schema.Errorf(schema.Conflict, "deleted meanwhile: %w", err)
	}
	return next, err
}

// Confirm lifts the halt of the revision: the deletions that it holds back may
// be done. Whoever syncs is told by the watch.
func (c *Cluster) Confirm(ctx context.Context, revision schema.Revision) error {
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"annotations": map[string]any{AnnotationConfirm: string(revision)},
	}})
	if err != nil {
		return schema.Errorf(schema.Internal, "confirm: %w", err)
	}
	held, err := c.client.patchState(ctx, body)
	if apierrors.IsNotFound(err) {
		return schema.Errorf(schema.NotFound, "confirm %s: nothing is halted: %s doesn't exist", revision.Short(), c.client.statePlace())
	}
	if err != nil {
		return during("confirm in", c.client.statePlace(), c.client.wrap(err))
	}
	c.view.toldState(held, versionOf(held))
	c.log.InfoContext(ctx, "halt confirmed", slog.String("revision", string(revision)))
	return nil
}

func (c *client) statePlace() place {
	return place{kind: kindNamed(kindConfigMap), namespace: schema.SystemNamespace, name: c.fleet.named(stateName)}
}

func systemMeta(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{schema.LabelManagedBy: schema.ManagedBy}}
}

func (c *Cluster) makeState(ctx context.Context, encoded string) (*corev1.ConfigMap, error) {
	at := place{kind: kindNamed(kindNamespace), name: schema.SystemNamespace}
	err := c.client.create(ctx, at, &corev1.Namespace{ObjectMeta: systemMeta("", schema.SystemNamespace)})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, err
	}
	made := &corev1.ConfigMap{
		ObjectMeta: systemMeta(schema.SystemNamespace, c.client.fleet.named(stateName)),
		Data:       map[string]string{stateKey: encoded},
	}
	return made, c.client.create(ctx, c.client.statePlace(), made)
}

func (c *client) readState(ctx context.Context) (*corev1.ConfigMap, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	held := &corev1.ConfigMap{}
	return held, c.request(c.statePlace(), "GET").Do(ctx).Into(held)
}

// updateState replaces the ConfigMap and reads what became of it into held.
func (c *client) updateState(ctx context.Context, held *corev1.ConfigMap) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return c.request(c.statePlace(), "PUT").Body(held).Do(ctx).Into(held)
}

func (c *client) patchState(ctx context.Context, body []byte) (*corev1.ConfigMap, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	held := &corev1.ConfigMap{}
	return held, c.request(c.statePlace(), "PATCH").SetHeader("Content-Type", string(types.MergePatchType)).Body(body).Do(ctx).Into(held)
}
