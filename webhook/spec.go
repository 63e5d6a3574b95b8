package webhook

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"

	"bayplan.dev/schema"
)

// describe says of types whose JSON reflection can't see what they look like on
// the wire: Kubernetes inlines structs and marshals quantities as strings.
func describe(r huma.Registry) {
	r.RegisterTypeAlias(reflect.TypeFor[resource.Quantity](), reflect.TypeFor[quantity]())
	r.RegisterTypeAlias(reflect.TypeFor[intstr.IntOrString](), reflect.TypeFor[intOrString]())
	r.RegisterTypeAlias(reflect.TypeFor[corev1.Probe](), reflect.TypeFor[Probe]())
	r.RegisterTypeAlias(reflect.TypeFor[corev1.EnvVarSource](), reflect.TypeFor[EnvVarSource]())
	r.RegisterTypeAlias(reflect.TypeFor[schema.Phase](), reflect.TypeFor[phase]())
	r.RegisterTypeAlias(reflect.TypeFor[schema.SyncState](), reflect.TypeFor[syncState]())
}

// Probe is a Pod's probe as it is written.
type Probe struct {
	corev1.ProbeHandler
	InitialDelaySeconds           int32  `json:"initialDelaySeconds,omitempty"`
	TimeoutSeconds                int32  `json:"timeoutSeconds,omitempty"`
	PeriodSeconds                 int32  `json:"periodSeconds,omitempty"`
	SuccessThreshold              int32  `json:"successThreshold,omitempty"`
	FailureThreshold              int32  `json:"failureThreshold,omitempty"`
	TerminationGracePeriodSeconds *int64 `json:"terminationGracePeriodSeconds,omitempty"`
}

// EnvVarSource is where the value of a variable comes from.
type EnvVarSource struct {
	SecretKeyRef *SecretKeyRef `json:"secretKeyRef,omitempty"`
}

// SecretKeyRef is one key of a Secret.
type SecretKeyRef struct {
	Name     string `json:"name,omitempty"`
	Key      string `json:"key"`
	Optional *bool  `json:"optional,omitempty"`
}

type quantity struct{}

// Schema says how a quantity is written.
func (quantity) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Description: "A Kubernetes quantity.", Examples: []any{"512Mi"}}
}

type intOrString struct{}

// Schema says that a port may be given by number or name.
func (intOrString) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{{Type: huma.TypeInteger}, {Type: huma.TypeString}}}
}

type phase struct{}

// Schema lists the phases.
func (phase) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Enum: []any{
		string(schema.PhasePending), string(schema.PhaseStarting), string(schema.PhaseRunning),
		string(schema.PhaseUnready), string(schema.PhaseStopped), string(schema.PhaseSleeping),
		string(schema.PhaseFailed), string(schema.PhaseExpired), string(schema.PhaseDeleting),
	}}
}

type syncState struct{}

// Schema lists the states of the sync.
func (syncState) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Enum: []any{
		string(schema.SyncPending), string(schema.SyncApplying), string(schema.SyncSynced),
		string(schema.SyncFailed), string(schema.SyncHalted), string(schema.SyncStale),
	}}
}
