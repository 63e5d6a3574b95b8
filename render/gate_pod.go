package render

import (
	"fmt"
	"reflect"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

func (g *gate) checkDeployment(d *appsv1.Deployment, base object) {
	before, ok := base.(*appsv1.Deployment)
	if !ok {
		return
	}
	g.require(reflect.DeepEqual(d.Spec.Replicas, before.Spec.Replicas), d, "spec.replicas", "must stay as rendered: spec.state of the container decides")
	g.require(reflect.DeepEqual(d.Spec.Strategy, before.Spec.Strategy), d, "spec.strategy", "must stay Recreate: a volume has one writer")
	g.require(reflect.DeepEqual(d.Spec.Selector, before.Spec.Selector), d, "spec.selector", "must stay as rendered")
	template := &d.Spec.Template
	g.checkAnnotations(d, "spec.template.metadata.annotations", template.Annotations, before.Spec.Template.Annotations)
	g.checkLabels(d, "spec.template.metadata.labels", template.Labels, before.Spec.Template.Labels)
	g.require(len(template.OwnerReferences) == 0 && len(template.Finalizers) == 0, d, "spec.template.metadata", "must have neither ownerReferences nor finalizers")
	g.checkPod(d, &template.Spec)
	g.checkSecurity(d, template)
}

// checkSecurity asks Kubernetes' own library, which is what the API server
// will ask when the Pod is created.
func (g *gate) checkSecurity(d *appsv1.Deployment, template *corev1.PodTemplateSpec) {
	for _, result := range g.evaluator.EvaluatePod(g.security, &template.ObjectMeta, &template.Spec) {
		if result.Allowed {
			continue
		}
		rule := fmt.Sprintf("Pod Security %q forbids %s", g.security.Level, result.ForbiddenReason)
		if result.ForbiddenDetail != "" {
			rule += ": " + result.ForbiddenDetail
		}
		g.refuse(d, "spec.template.spec", rule)
	}
}

// checkPod holds what Bayplan promises beyond the Pod Security Standards, at
// whichever level.
func (g *gate) checkPod(d *appsv1.Deployment, pod *corev1.PodSpec) {
	const field = "spec.template.spec."
	g.require(!pod.HostNetwork, d, field+"hostNetwork", "nothing of the host may be used")
	g.require(!pod.HostPID, d, field+"hostPID", "nothing of the host may be used")
	g.require(!pod.HostIPC, d, field+"hostIPC", "nothing of the host may be used")
	g.require(len(pod.ResourceClaims) == 0, d, field+"resourceClaims", "nothing of the host may be used")
	g.require(pod.NodeName == "", d, field+"nodeName", "must be absent: use nodeSelector, the scheduler decides")
	account := pod.DeprecatedServiceAccount
	g.require(pod.ServiceAccountName == workloadAccount && (account == "" || account == workloadAccount), d, field+"serviceAccountName", fmt.Sprintf("must stay %q", workloadAccount))
	g.require(isFalse(pod.AutomountServiceAccountToken), d, field+"automountServiceAccountToken", "must be false")
	g.require(isFalse(pod.EnableServiceLinks), d, field+"enableServiceLinks", "must be false")
	g.require(len(pod.EphemeralContainers) == 0, d, field+"ephemeralContainers", "must be absent")
	profiled := pod.SecurityContext != nil && isRuntimeDefault(pod.SecurityContext.SeccompProfile)
	g.require(profiled, d, field+"securityContext.seccompProfile", "must be RuntimeDefault")
	for i := range pod.Volumes {
		g.checkVolume(d, &pod.Volumes[i])
	}
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		g.checkContainer(d, &c)
	}
}

// checkVolume lists what is allowed, because new kinds of volumes appear: a
// projected one, for example, could bring a token back in.
func (g *gate) checkVolume(d *appsv1.Deployment, v *corev1.Volume) {
	source := v.VolumeSource
	claim := source.PersistentVolumeClaim
	source.PersistentVolumeClaim, source.EmptyDir, source.ConfigMap = nil, nil, nil
	g.require(reflect.DeepEqual(source, corev1.VolumeSource{}), d, "spec.template.spec.volumes",
		fmt.Sprintf("%q must be a persistentVolumeClaim, a configMap or an emptyDir", v.Name))
	if claim != nil {
		_, ours := g.base[ref{kind: "PersistentVolumeClaim", name: claim.ClaimName}]
		g.require(ours, d, "spec.template.spec.volumes", fmt.Sprintf("claim %q is not a volume of the space", claim.ClaimName))
	}
}

func (g *gate) checkContainer(d *appsv1.Deployment, c *corev1.Container) {
	field := fmt.Sprintf("spec.template.spec.containers[%s].", c.Name)
	hostPort := slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.HostPort != 0 || p.HostIP != "" })
	g.require(!hostPort, d, field+"ports", "nothing of the host may be used")
	security := c.SecurityContext
	if security == nil {
		security = &corev1.SecurityContext{}
	}
	g.require(security.Privileged == nil || !*security.Privileged, d, field+"securityContext.privileged", "must not be true")
	g.require(isFalse(security.AllowPrivilegeEscalation), d, field+"securityContext.allowPrivilegeEscalation", "must be false")
	caps := security.Capabilities
	dropped := caps != nil && slices.Contains(caps.Drop, "ALL") && len(caps.Add) == 0
	g.require(dropped, d, field+"securityContext.capabilities", "must drop ALL and add none")
	g.require(security.SeccompProfile == nil || isRuntimeDefault(security.SeccompProfile), d, field+"securityContext.seccompProfile", "must be RuntimeDefault")
}

func isRuntimeDefault(p *corev1.SeccompProfile) bool {
	return p != nil && p.Type == corev1.SeccompProfileTypeRuntimeDefault
}
