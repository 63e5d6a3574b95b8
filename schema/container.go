package schema

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Container is one kind: Container document.
type Container struct {
	ID   ContainerID
	Spec ContainerSpec
	// Source is where the document begins; Hash is the hash of its file.
	Source Position
	Hash   string
}

// ContainerSpec is what a user wants of a container. Where the Kubernetes Pod
// has the field, name and shape are the Pod's; container.cue holds the bounds.
// The platform's preset and defaults are already filled in.
type ContainerSpec struct {
	From             string                        `json:"from,omitempty"`
	Image            string                        `json:"image"`
	ImagePullPolicy  corev1.PullPolicy             `json:"imagePullPolicy,omitempty"`
	ImagePullSecrets []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`
	Command          []string                      `json:"command,omitempty"`
	Args             []string                      `json:"args,omitempty"`
	WorkingDir       string                        `json:"workingDir,omitempty"`
	Env              []corev1.EnvVar               `json:"env,omitempty"`
	Resources        corev1.ResourceRequirements   `json:"resources,omitzero"`
	SecurityContext  SecurityContext               `json:"securityContext,omitzero"`
	Ports            []corev1.ContainerPort        `json:"ports,omitempty"`
	Ingress          []Ingress                     `json:"ingress,omitempty"`
	Expose           []Expose                      `json:"expose,omitempty"`
	Domains          []string                      `json:"domains,omitempty"`
	Volumes          []VolumeMount                 `json:"volumes,omitempty"`
	ReadinessProbe   *corev1.Probe                 `json:"readinessProbe,omitempty"`
	LivenessProbe    *corev1.Probe                 `json:"livenessProbe,omitempty"`
	StartupProbe     *corev1.Probe                 `json:"startupProbe,omitempty"`
	SSH              *SSH                          `json:"ssh,omitempty"`
	State            State                         `json:"state,omitempty"`
	RestartedAt      *time.Time                    `json:"restartedAt,omitempty"`
	Autosleep        *Autosleep                    `json:"autosleep,omitempty"`
	ExpiresAt        *time.Time                    `json:"expiresAt,omitempty"`
	ExpirePolicy     ExpirePolicy                  `json:"expirePolicy,omitempty"`
	RuntimeClassName string                        `json:"runtimeClassName,omitempty"`
	Placement        *Placement                    `json:"placement,omitempty"`
}

// State is what the user wants a container to do.
type State string

// The states; Running is the default.
const (
	StateRunning State = "Running"
	StateStopped State = "Stopped"
)

// ExpirePolicy is what happens to a container at its expiresAt.
type ExpirePolicy string

// The policies; ExpireStop is the default.
const (
	ExpireStop   ExpirePolicy = "Stop"
	ExpireDelete ExpirePolicy = "Delete"
)

// SecurityContext is the part of a Pod's and a container's security context that users may set.
type SecurityContext struct {
	RunAsUser              *int64 `json:"runAsUser,omitempty"`
	RunAsGroup             *int64 `json:"runAsGroup,omitempty"`
	FSGroup                *int64 `json:"fsGroup,omitempty"`
	ReadOnlyRootFilesystem bool   `json:"readOnlyRootFilesystem,omitempty"`
}

// Ingress makes a port reachable by host name over HTTP(S).
type Ingress struct {
	// Port is the port outside: 80 (HTTP) or 443 (HTTPS).
	Port int32 `json:"port"`
	// TargetPort is the port that the container listens on; filled in with Port when absent.
	TargetPort int32 `json:"targetPort,omitempty"`
	// Host is filled in with "<id>.<domain>" when absent.
	Host string `json:"host,omitempty"`
	// Path is a prefix, "/" when absent.
	Path string `json:"path,omitempty"`
	// TLS is true for port 443 unless said otherwise.
	TLS *bool `json:"tls,omitempty"`
}

// Expose makes a port reachable over raw TCP on a port of the platform's range.
type Expose struct {
	Port       int32 `json:"port"`
	TargetPort int32 `json:"targetPort,omitempty"`
}

// VolumeMount mounts a volume of the same space.
type VolumeMount struct {
	Name      string `json:"name"`
	MountPath string `json:"mountPath"`
	ReadOnly  bool   `json:"readOnly,omitempty"`
}

// SSH says who may log in; no keys means all keys of the owner.
type SSH struct {
	Enabled        bool     `json:"enabled"`
	Keys           []string `json:"keys,omitempty"`
	PortForwarding bool     `json:"portForwarding,omitempty"`
}

// Autosleep stops an idle container until somebody connects.
type Autosleep struct {
	IdleAfter      string   `json:"idleAfter"`
	WakeOn         []string `json:"wakeOn,omitempty"`
	StartupTimeout string   `json:"startupTimeout,omitempty"`
}

// Placement picks nodes among what the platform lists.
type Placement struct {
	Arch         string            `json:"arch,omitempty"`
	Zone         string            `json:"zone,omitempty"`
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
}
