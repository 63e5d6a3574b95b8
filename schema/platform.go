package schema

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Platform is the kind: Platform document, the operator's word.
type Platform struct {
	Spec PlatformSpec
	// Digest identifies the spec.
	Digest string
	Source Position
}

// PlatformSpec has every default filled in.
type PlatformSpec struct {
	// Domain is the DNS domain below which containers get their hosts.
	Domain string `json:"domain"`
	Limits Limits `json:"limits"`
	// Images are offered to users by name.
	Images []PlatformImage `json:"images,omitempty"`
	// Registries are the only ones allowed, as host[:port][/path]; empty allows any.
	Registries []string `json:"registries,omitempty"`
	// RequireDigest refuses images without @sha256:….
	RequireDigest bool              `json:"requireDigest,omitempty"`
	Presets       map[string]Preset `json:"presets,omitempty"`
	Ingress       PlatformIngress   `json:"ingress"`
	Network       Network           `json:"network"`
	Expose        ExposeRange       `json:"expose,omitzero"`
	// RuntimeClasses are those that a container may ask for.
	RuntimeClasses []string          `json:"runtimeClasses,omitempty"`
	Placement      PlatformPlacement `json:"placement,omitzero"`
	Security       Security          `json:"security"`
	Volumes        VolumePolicy      `json:"volumes"`
	Defaults       Defaults          `json:"defaults"`
}

// Limits are what users may use: Default for everybody, Users for some.
type Limits struct {
	Default Limit          `json:"default"`
	Users   map[User]Limit `json:"users,omitempty"`
}

// Of returns the limit of the user; fields that the user's entry leaves out are the default's.
func (l Limits) Of(u User) Limit {
	limit, own := l.Default, l.Users[u]
	if own.Containers != nil {
		limit.Containers = own.Containers
	}
	if own.CPU != nil {
		limit.CPU = own.CPU
	}
	if own.Memory != nil {
		limit.Memory = own.Memory
	}
	if own.Storage != nil {
		limit.Storage = own.Storage
	}
	if own.Lifetime != "" {
		limit.Lifetime = own.Lifetime
	}
	return limit
}

// Limit bounds the sum over all containers and volumes of a user; nil is unbounded.
type Limit struct {
	Containers *int               `json:"containers,omitempty"`
	CPU        *resource.Quantity `json:"cpu,omitempty"`
	Memory     *resource.Quantity `json:"memory,omitempty"`
	Storage    *resource.Quantity `json:"storage,omitempty"`
	// Lifetime is the longest duration, such as 168h, until a container's expiresAt.
	Lifetime string `json:"lifetime,omitempty"`
}

// PlatformImage is an image that the platform offers.
type PlatformImage struct {
	Name        string `json:"name"`
	Image       string `json:"image"`
	Description string `json:"description,omitempty"`
}

// Preset is a partial container spec that a container's from is unified with.
type Preset struct {
	Description string         `json:"description,omitempty"`
	Spec        map[string]any `json:"spec"`
}

// PlatformIngress says how ports 80 and 443 reach containers.
type PlatformIngress struct {
	ClassName string `json:"className,omitempty"`
	// Provider is "ingress", the Kubernetes Ingress.
	Provider string      `json:"provider,omitempty"`
	TLS      PlatformTLS `json:"tls,omitzero"`
}

// PlatformTLS says where certificates come from.
type PlatformTLS struct {
	// SecretName is the Secret in each space; empty means the controller's default certificate.
	SecretName string `json:"secretName,omitempty"`
}

// Network says what the cluster's network looks like.
type Network struct {
	ClusterDNS   ClusterDNS `json:"clusterDNS"`
	BlockedCIDRs []string   `json:"blockedCIDRs,omitempty"`
	// GatewayNamespace is where the ingress controller and Bayplan's gateway run.
	GatewayNamespace string `json:"gatewayNamespace"`
}

// ClusterDNS selects the Pods, and where given the address, that answer DNS.
type ClusterDNS struct {
	Namespace string            `json:"namespace"`
	PodLabels map[string]string `json:"podLabels"`
	// Address is an IP for resolvers on the node, such as NodeLocal DNSCache.
	Address string `json:"address,omitempty"`
}

// ExposeRange is the range of ports for raw TCP, both ends included; zero means none.
type ExposeRange struct {
	Range PortRange `json:"range,omitzero"`
}

// PortRange is a range of ports with both ends included.
type PortRange struct {
	From int32 `json:"from"`
	To   int32 `json:"to"`
}

// PlatformPlacement lists what containers may ask for.
type PlatformPlacement struct {
	Archs        []string          `json:"archs,omitempty"`
	Zones        []string          `json:"zones,omitempty"`
	NodeLabels   []string          `json:"nodeLabels,omitempty"`
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
}

// Security is the level of the Pod Security Standards.
type Security struct {
	// Level is "restricted" or "baseline".
	Level string `json:"level"`
}

// VolumePolicy says how volumes are kept.
type VolumePolicy struct {
	// Grace is how long the claim of a persistent volume outlives its file.
	Grace time.Duration `json:"-"`
	// GracePeriod is Grace as written, such as 24h.
	GracePeriod string `json:"gracePeriod"`
}

// Defaults are filled into containers that don't say.
type Defaults struct {
	Resources corev1.ResourceRequirements `json:"resources"`
	// Max bounds a single container's limits.
	Max corev1.ResourceList `json:"max,omitempty"`
}
