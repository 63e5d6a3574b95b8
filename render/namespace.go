package render

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
)

// podSecurityMinor pins the Pod Security Standards to the oldest Kubernetes
// that Bayplan supports, v1.34, so that an upgrade of the cluster never refuses
// Pods that ran before.
const podSecurityMinor = 34

// workloadAccount is the ServiceAccount of all Pods. It has no token and no rights.
const workloadAccount = "bayplan-workload"

// security is the level and version that Pods are held to.
func (b builder) security() api.LevelVersion {
	level := api.LevelRestricted
	if b.platform.Security.Level == string(api.LevelBaseline) {
		level = api.LevelBaseline
	}
	return api.LevelVersion{Level: level, Version: api.MajorMinorVersion(1, podSecurityMinor)}
}

func (b builder) namespace() object {
	meta := b.meta(b.space.ID.Namespace())
	meta.Namespace = ""
	level := b.security()
	for _, mode := range []string{api.EnforceLevelLabel, api.AuditLevelLabel, api.WarnLevelLabel} {
		meta.Labels[mode] = string(level.Level)
	}
	for _, mode := range []string{api.EnforceVersionLabel, api.AuditVersionLabel, api.WarnVersionLabel} {
		meta.Labels[mode] = level.Version.String()
	}
	return &corev1.Namespace{TypeMeta: typeMeta("v1", "Namespace"), ObjectMeta: meta}
}

func (b builder) serviceAccount() object {
	return &corev1.ServiceAccount{
		TypeMeta:                     typeMeta("v1", "ServiceAccount"),
		ObjectMeta:                   b.meta(workloadAccount),
		AutomountServiceAccountToken: new(false),
	}
}
