package schema

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Volume is one kind: Volume document. It outlives the containers that mount it.
type Volume struct {
	Space  SpaceID
	Name   string
	Spec   VolumeSpec
	Source Position
	// SizeAt is where spec.size stands.
	SizeAt Position
	Hash   string
}

// VolumeSpec says how large and how durable a volume is.
type VolumeSpec struct {
	// Size may only grow.
	Size resource.Quantity `json:"size"`
	// Persistent volumes outlive their file by the platform's grace period.
	Persistent       bool                                `json:"persistent,omitempty"`
	StorageClassName *string                             `json:"storageClassName,omitempty"`
	AccessModes      []corev1.PersistentVolumeAccessMode `json:"accessModes,omitempty"`
}
