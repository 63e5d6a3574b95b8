package schema

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func amounts(cpu, memory, disk string) corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory),
		corev1.ResourceEphemeralStorage: resource.MustParse(disk),
	}
}

func TestDefaultsAreFilledIn(t *testing.T) {
	fleet := load(t, NewLoader(), files{"users/alice/shop/api.yaml": `apiVersion: bayplan.dev/v1
kind: Container
metadata: {name: api}
spec:
  image: ghcr.io/acme/api:1
  restartedAt: 2026-03-01T09:30:00Z
  ports: [{containerPort: 443}, {containerPort: 80}, {containerPort: 53, protocol: UDP}]
  ingress: [{port: 443}, {port: 80, path: /x}]
`}.fsys())
	if got := fleet.Findings.Text(); got != "" {
		t.Fatalf("got findings:\n%s", got)
	}
	restarted := time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)
	want := &Container{
		ID:     ContainerID{SpaceID{"alice", "shop"}, "api"},
		Source: Position{"users/alice/shop/api.yaml", 1, 1},
		Spec: ContainerSpec{
			Image: "ghcr.io/acme/api:1", State: StateRunning, RestartedAt: &restarted,
			Resources: corev1.ResourceRequirements{Requests: amounts("50m", "128Mi", "64Mi"), Limits: amounts("1", "512Mi", "1Gi")},
			Ports: []corev1.ContainerPort{
				{ContainerPort: 443, Protocol: corev1.ProtocolTCP},
				{ContainerPort: 80, Protocol: corev1.ProtocolTCP},
				{ContainerPort: 53, Protocol: corev1.ProtocolUDP},
			},
			Ingress: []Ingress{
				{Port: 443, TargetPort: 443, Host: "alice--shop--api.bayplan.localhost", Path: "/", TLS: new(true)},
				{Port: 80, TargetPort: 80, Host: "alice--shop--api.bayplan.localhost", Path: "/x", TLS: new(false)},
			},
		},
	}
	got := fleet.Container(want.ID)
	want.Hash = got.Hash
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("container (-want +got):\n%s", diff)
	}
}

func TestResourceDefaultsDoNotContradict(t *testing.T) {
	defaults := &Defaults{Resources: corev1.ResourceRequirements{
		Requests: amounts("100m", "128Mi", "64Mi"), Limits: amounts("1", "512Mi", "1Gi"),
	}}
	tests := map[string]struct{ given, want corev1.ResourceRequirements }{
		"a request lifts the default limit": {
			corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")}},
			corev1.ResourceRequirements{Requests: amounts("100m", "1Gi", "64Mi"), Limits: amounts("1", "1Gi", "1Gi")},
		},
		"a limit caps the default request": {
			corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")}},
			corev1.ResourceRequirements{Requests: amounts("100m", "64Mi", "64Mi"), Limits: amounts("1", "64Mi", "1Gi")},
		},
		"both stay": {
			corev1.ResourceRequirements{Requests: amounts("2", "1Gi", "1Gi"), Limits: amounts("3", "2Gi", "2Gi")},
			corev1.ResourceRequirements{Requests: amounts("2", "1Gi", "1Gi"), Limits: amounts("3", "2Gi", "2Gi")},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			spec := ContainerSpec{Resources: test.given}
			spec.fillResources(defaults)
			if diff := cmp.Diff(test.want, spec.Resources); diff != "" {
				t.Errorf("resources (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPresetIsUnified(t *testing.T) {
	fleet := load(t, NewLoader(), os.DirFS("testdata/good/everything"))
	got := fleet.Container(ContainerID{SpaceID{"alice", "note"}, "note"}).Spec
	want := ContainerSpec{
		From: "notebook", Image: "ghcr.io/acme/notebook:1.0", State: StateRunning,
		Ports:   []corev1.ContainerPort{{Name: "http", ContainerPort: 8888, Protocol: corev1.ProtocolTCP}},
		Ingress: []Ingress{{Port: 443, TargetPort: 8888, Host: "alice--note.apps.example.com", Path: "/", TLS: new(true)}},
		ReadinessProbe: &corev1.Probe{
			ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: intstr.FromString("http")}},
			PeriodSeconds: 5,
		},
		Resources: corev1.ResourceRequirements{Requests: amounts("100m", "128Mi", "64Mi"), Limits: amounts("2", "512Mi", "1Gi")},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
}

func TestPlatformDefaults(t *testing.T) {
	got := load(t, NewLoader(), files{"users/alice/web/web.yaml": webFile}.fsys()).Platform
	want := PlatformSpec{
		Domain: "bayplan.localhost", Ingress: PlatformIngress{Provider: "ingress"},
		Network: Network{
			ClusterDNS:       ClusterDNS{Namespace: "kube-system", PodLabels: map[string]string{"k8s-app": "kube-dns"}},
			GatewayNamespace: "bayplan-system",
		},
		Security: Security{Level: "restricted"},
		Volumes:  VolumePolicy{Grace: 24 * time.Hour, GracePeriod: "24h"},
		Defaults: Defaults{Resources: corev1.ResourceRequirements{Requests: amounts("50m", "128Mi", "64Mi"), Limits: amounts("1", "512Mi", "1Gi")}},
	}
	if diff := cmp.Diff(want, got.Spec); diff != "" {
		t.Errorf("platform (-want +got):\n%s", diff)
	}
	if got.Digest == "" {
		t.Error("got no digest")
	}
}

func TestPlatformIsRead(t *testing.T) {
	fleet := load(t, NewLoader(), os.DirFS("testdata/good/everything"))
	spec := fleet.Platform.Spec
	if spec.Volumes.Grace != 72*time.Hour || spec.Domain != "apps.example.com" || spec.Network.ClusterDNS.PodLabels["k8s-app"] != "coredns" {
		t.Errorf("got %+v", spec)
	}
	alice, bob := spec.Limits.Of("alice"), spec.Limits.Of("bob")
	if alice.CPU.String() != "16" || *alice.Containers != 10 || bob.CPU.String() != "8" {
		t.Errorf("got limits %v and %v", alice, bob)
	}
}
