package render_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"

	"bayplan.dev/schema"
)

// newPlatform has the values that the loader fills in when platform.yaml is absent.
func newPlatform() *schema.Platform {
	return &schema.Platform{Spec: schema.PlatformSpec{
		Domain:   "bayplan.localhost",
		Ingress:  schema.PlatformIngress{Provider: "ingress"},
		Security: schema.Security{Level: "restricted"},
		Network: schema.Network{
			ClusterDNS:       schema.ClusterDNS{Namespace: "kube-system", PodLabels: map[string]string{"k8s-app": "kube-dns"}},
			GatewayNamespace: "bayplan-system",
		},
		Defaults: schema.Defaults{Resources: resources("50m", "128Mi", "1", "512Mi")},
	}}
}

func resources(requestCPU, requestMemory, cpu, memory string) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{
		Requests: list(requestCPU, requestMemory, "1Gi"),
		Limits:   list(cpu, memory, "1Gi"),
	}
}

func list(cpu, memory, storage string) corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse(cpu),
		corev1.ResourceMemory:           resource.MustParse(memory),
		corev1.ResourceEphemeralStorage: resource.MustParse(storage),
	}
}

func newFleet(spaces ...*schema.Space) *schema.Fleet {
	return &schema.Fleet{Platform: newPlatform(), Spaces: schema.NewSpaces(spaces...)}
}

func newSpace(user schema.User, name string, containers ...string) *schema.Space {
	id := schema.SpaceID{User: user, Name: name}
	s := &schema.Space{ID: id, Source: schema.Position{File: id.Path()}}
	for _, c := range containers {
		s.Containers = append(s.Containers, &schema.Container{
			ID:     schema.ContainerID{Space: id, Name: c},
			Source: schema.Position{File: id.Path() + "/" + c + ".yaml", Line: 1, Column: 1},
			Spec:   schema.ContainerSpec{Image: "nginx:1.29", State: schema.StateRunning, Resources: newPlatform().Spec.Defaults.Resources},
		})
	}
	return s
}

func addVolume(s *schema.Space, name, size string, persistent bool) {
	s.Volumes = append(s.Volumes, &schema.Volume{
		Space: s.ID, Name: name,
		Source: schema.Position{File: s.ID.Path() + "/" + name + ".volume.yaml"},
		Spec:   schema.VolumeSpec{Size: resource.MustParse(size), Persistent: persistent},
	})
}

// everything has what the loader doesn't let through yet, too.
func everything() *schema.Fleet {
	s := newSpace("alice", "shop", "api", "db", "shop")
	addVolume(s, "cache", "512Mi", false)
	addVolume(s, "data", "10Gi", true)
	s.Volumes[0].Spec.StorageClassName = new("fast")
	s.Volumes[0].Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}
	api := &s.Containers[0].Spec
	api.Image = "registry.example/shop/api@sha256:" + "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	api.ImagePullPolicy = corev1.PullAlways
	api.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "registry"}}
	api.Command = []string{"/api"}
	api.Args = []string{"--listen", ":8080"}
	api.WorkingDir = "/srv"
	api.Env = []corev1.EnvVar{
		{Name: "MODE", Value: "production"},
		{Name: "TOKEN", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "api"}, Key: "token"}}},
	}
	api.Resources = resources("1000m", "1024Mi", "2000m", "2048Mi")
	api.SecurityContext = schema.SecurityContext{RunAsUser: new(int64(1000)), RunAsGroup: new(int64(1001)), FSGroup: new(int64(1002)), ReadOnlyRootFilesystem: true}
	api.Ports = []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}, {ContainerPort: 5353, Protocol: corev1.ProtocolUDP}, {ContainerPort: 9090, Protocol: corev1.ProtocolTCP}}
	api.Ingress = []schema.Ingress{
		{Port: 80, TargetPort: 8080, Host: "shop.bayplan.localhost", Path: "/api"},
		{Port: 443, TargetPort: 8080, Host: "shop.bayplan.localhost", Path: "/api"},
		{Port: 8443, TargetPort: 7443, Host: "shop.bayplan.localhost"},
	}
	api.Volumes = []schema.VolumeMount{{Name: "data", MountPath: "/data"}, {Name: "data", MountPath: "/old", ReadOnly: true}, {Name: "cache", MountPath: "/cache"}}
	api.ReadinessProbe = &corev1.Probe{PeriodSeconds: 5, ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/ready", Port: intstr.FromInt32(8080)}}}
	api.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromString("http")}}}
	api.StartupProbe = &corev1.Probe{FailureThreshold: 30, ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"true"}}}}
	api.SSH = &schema.SSH{Enabled: true, Keys: []string{"laptop"}, PortForwarding: true}
	api.RestartedAt = new(time.Date(2026, 3, 1, 13, 30, 0, 0, time.FixedZone("CET", 3600)))
	api.RuntimeClassName = "gvisor"
	api.Placement = &schema.Placement{Arch: "arm64", Zone: "fsn1", NodeSelector: map[string]string{"disk": "ssd", "pool": "mine"}}
	f := newFleet(s)
	f.Platform.Spec.Placement.NodeSelector = map[string]string{"pool": "tenants"}
	f.Platform.Spec.Ingress = schema.PlatformIngress{ClassName: "nginx", Provider: "ingress", TLS: schema.PlatformTLS{SecretName: "wildcard"}}
	f.Platform.Spec.Network.BlockedCIDRs = []string{"203.0.114.0/24", "10.9.0.0/16", "2a01:4f8::/32", "fd00::/8"}
	f.Platform.Spec.Network.ClusterDNS.Address = "169.254.20.10"
	f.Platform.Spec.Limits.Default.Storage = new(resource.MustParse("20480Mi"))
	f.Platform.Spec.Defaults.Max = list("4", "8Gi", "10Gi")
	// More than the maximum, which the LimitRange must not repeat.
	f.Platform.Spec.Defaults.Resources.Limits[corev1.ResourceCPU] = resource.MustParse("6")
	return f
}

func only(t testing.TB, f *schema.Fleet) schema.SpaceID {
	t.Helper()
	ids := f.SpaceIDs()
	if len(ids) != 1 {
		t.Fatalf("fleet has %d spaces, want one", len(ids))
	}
	return ids[0]
}
