package render

import (
	"maps"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"

	"bayplan.dev/schema"
)

const (
	// progressDeadline is how long a Deployment may take until it says that it is stuck.
	progressDeadline int32 = 600
	// terminationGrace is how long a container has between SIGTERM and SIGKILL.
	terminationGrace int64 = 30
)

// deployment holds the container's Pod: a Deployment, because a bare Pod dies
// with its node, and Recreate, because a volume has one writer.
func (b builder) deployment(c *schema.Container) object {
	replicas := int32(1)
	if c.Spec.State == schema.StateStopped {
		replicas = 0
	}
	meta := b.containerMeta(c.ID.Name, c)
	return &appsv1.Deployment{
		TypeMeta:   typeMeta("apps/v1", "Deployment"),
		ObjectMeta: meta,
		Spec: appsv1.DeploymentSpec{
			Replicas:                &replicas,
			Selector:                &metav1.LabelSelector{MatchLabels: selector(c)},
			Strategy:                appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType},
			RevisionHistoryLimit:    new(int32(1)),
			ProgressDeadlineSeconds: new(progressDeadline),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: maps.Clone(meta.Labels), Annotations: podAnnotations(c)},
				Spec:       b.pod(&c.Spec, c.ID.Name),
			},
		},
	}
}

// podAnnotations has the owner, and what changes when the user restarts. The
// source is left out: moving a file must not restart a container.
func podAnnotations(c *schema.Container) map[string]string {
	annotations := map[string]string{schema.AnnotationOwner: c.ID.Space.String()}
	if c.Spec.RestartedAt != nil {
		annotations[schema.AnnotationRestartedAt] = c.Spec.RestartedAt.UTC().Format(time.RFC3339)
	}
	return annotations
}

func (b builder) pod(spec *schema.ContainerSpec, name string) corev1.PodSpec {
	pod := corev1.PodSpec{
		ServiceAccountName:            workloadAccount,
		AutomountServiceAccountToken:  new(false),
		EnableServiceLinks:            new(false),
		RestartPolicy:                 corev1.RestartPolicyAlways,
		TerminationGracePeriodSeconds: new(terminationGrace),
		SecurityContext:               b.podSecurity(spec.SecurityContext),
		ImagePullSecrets:              slices.Clone(spec.ImagePullSecrets),
		NodeSelector:                  b.nodeSelector(spec.Placement),
		Containers:                    []corev1.Container{container(spec, name)},
		Volumes:                       podVolumes(spec.Volumes),
	}
	if spec.RuntimeClassName != "" {
		pod.RuntimeClassName = new(spec.RuntimeClassName)
	}
	return pod
}

func (b builder) podSecurity(user schema.SecurityContext) *corev1.PodSecurityContext {
	security := &corev1.PodSecurityContext{
		RunAsUser:      user.RunAsUser,
		RunAsGroup:     user.RunAsGroup,
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	if b.security().Level == api.LevelRestricted {
		security.RunAsNonRoot = new(true)
	}
	if user.FSGroup != nil {
		security.FSGroup = user.FSGroup
		// Without it a large volume is chowned, file by file, at every start.
		security.FSGroupChangePolicy = new(corev1.FSGroupChangeOnRootMismatch)
	}
	return security
}

func container(spec *schema.ContainerSpec, name string) corev1.Container {
	c := corev1.Container{
		Name:            name,
		Image:           spec.Image,
		ImagePullPolicy: spec.ImagePullPolicy,
		Command:         spec.Command,
		Args:            spec.Args,
		WorkingDir:      spec.WorkingDir,
		Env:             spec.Env,
		Resources:       *spec.Resources.DeepCopy(),
		Ports:           slices.Clone(spec.Ports),
		ReadinessProbe:  spec.ReadinessProbe,
		LivenessProbe:   spec.LivenessProbe,
		StartupProbe:    spec.StartupProbe,
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
	}
	if spec.SecurityContext.ReadOnlyRootFilesystem {
		c.SecurityContext.ReadOnlyRootFilesystem = new(true)
	}
	for _, v := range spec.Volumes {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: v.Name, MountPath: v.MountPath, ReadOnly: v.ReadOnly})
	}
	completePorts([]corev1.Container{c})
	return c
}

// podVolumes has each volume once, however often it is mounted.
func podVolumes(mounts []schema.VolumeMount) []corev1.Volume {
	var volumes []corev1.Volume
	for _, m := range mounts {
		if slices.ContainsFunc(volumes, func(v corev1.Volume) bool { return v.Name == m.Name }) {
			continue
		}
		volumes = append(volumes, corev1.Volume{Name: m.Name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: m.Name},
		}})
	}
	return volumes
}

// nodeSelector is what the container asks for, then the platform's own word.
func (b builder) nodeSelector(p *schema.Placement) map[string]string {
	nodes := map[string]string{}
	if p != nil {
		maps.Copy(nodes, p.NodeSelector)
		if p.Arch != "" {
			nodes[corev1.LabelArchStable] = p.Arch
		}
		if p.Zone != "" {
			nodes[corev1.LabelTopologyZone] = p.Zone
		}
	}
	maps.Copy(nodes, b.platform.Placement.NodeSelector)
	return nodes
}
