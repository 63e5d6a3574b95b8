package schema

import (
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// checkPlatform holds the platform against the rules that CUE can't express.
func checkPlatform(s *PlatformSpec, doc *document) []issue {
	var issues []issue
	report := func(path fieldPath, f Finding) { issues = append(issues, issue{doc: doc, path: path, Finding: f}) }
	for _, user := range slices.Sorted(maps.Keys(s.Limits.Users)) {
		if err := user.Validate(); err != nil {
			report(fieldPath{"spec", "limits", "users", string(user)}, Finding{Code: "bad-name", Message: sentence(err.Error()), Help: "write the name of a folder below " + usersFolder})
		}
	}
	s.Limits.each(func(path fieldPath, limit Limit) {
		if d, err := time.ParseDuration(limit.Lifetime); err == nil && d < shortestLifetime {
			report(path.with("lifetime"), Finding{Code: "bad-value", Message: "must be at least a minute", Help: "write a duration, such as 168h"})
		}
	})
	names := map[string]bool{}
	for i, image := range s.Images {
		if names[image.Name] {
			report(fieldPath{"spec", "images"}.index(i).with("name"), Finding{Code: "duplicate-name", Message: fmt.Sprintf("an image %q stands above", image.Name), Help: "rename or remove one of them"})
		}
		names[image.Name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(s.Presets)) {
		if from, ok := s.Presets[name].Spec["from"]; ok {
			report(fieldPath{"spec", "presets", name, "spec", "from"}, Finding{Code: "preset-conflict", Message: fmt.Sprintf("a preset can't be from another, %v", from), Help: "write the other's fields out"})
		}
	}
	if s.Volumes.Grace < 0 {
		report(fieldPath{"spec", "volumes", "gracePeriod"}, Finding{Code: "bad-value", Message: "must not be negative", Help: "write a duration, such as 24h"})
	}
	d := s.Defaults
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		limit, request := d.Resources.Limits[name], d.Resources.Requests[name]
		if request.Cmp(limit) > 0 {
			report(fieldPath{"spec", "defaults", "resources", "requests", string(name)}, Finding{Code: "request-over-limit", Message: fmt.Sprintf("%s is more than the limit, %s", &request, &limit), Help: "raise the limit or lower the request"})
		}
		if most, ok := d.Max[name]; ok && limit.Cmp(most) > 0 {
			report(fieldPath{"spec", "defaults", "max", string(name)}, Finding{Code: "over-maximum", Message: fmt.Sprintf("the default limit, %s, is more than %s", &limit, &most), Help: "lower spec.defaults.resources.limits too"})
		}
	}
	return issues
}
