package render

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

const (
	quotaName      = "bayplan-quota"
	limitRangeName = "bayplan-limits"
)

// quota leaves room for the Pods of the objects and for nothing else; stopped
// containers count, and Recreate means that no two Pods of one container live
// at a time.
//
// It bounds what controllers create. Objects that Bayplan creates itself
// (claims, Services, Ingresses) are not counted: admission compares with the
// quota's status, which follows its spec with a delay, so a count that grows
// with the space would refuse the very object that it grew for. Storage is
// bounded by the user's limit, which doesn't move with the space; claims that
// wait for the end of their grace count.
func (b builder) quota(objects []object) object {
	zero := *resource.NewQuantity(0, resource.DecimalSI)
	hard := corev1.ResourceList{"services.nodeports": zero, "services.loadbalancers": zero}
	if storage := b.platform.Limits.Of(b.space.ID.User).Storage; storage != nil {
		hard[corev1.ResourceRequestsStorage] = storage.DeepCopy()
	}
	var pods []*corev1.PodSpec
	for _, o := range objects {
		if d, ok := o.(*appsv1.Deployment); ok {
			pods = append(pods, &d.Spec.Template.Spec)
		}
	}
	hard[corev1.ResourcePods] = *resource.NewQuantity(int64(len(pods)), resource.DecimalSI)
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		if requests, limits, ok := sum(pods, name); ok {
			hard["requests."+name], hard["limits."+name] = requests, limits
		}
	}
	return &corev1.ResourceQuota{
		TypeMeta:   typeMeta("v1", "ResourceQuota"),
		ObjectMeta: b.meta(quotaName),
		Spec:       corev1.ResourceQuotaSpec{Hard: hard},
	}
}

// sum adds up what all containers ask for. It is not ok when one names no
// limit, or runs in a runtime class, whose overhead the quota would count and
// nobody here knows: a wrong bound would keep a legitimate Pod from running.
func sum(pods []*corev1.PodSpec, name corev1.ResourceName) (requests, limits resource.Quantity, ok bool) {
	requests, limits = zeroOf(name), zeroOf(name)
	for _, pod := range pods {
		if pod.RuntimeClassName != nil {
			return requests, limits, false
		}
		for _, list := range [][]corev1.Container{pod.InitContainers, pod.Containers} {
			for i := range list {
				limit, found := list[i].Resources.Limits[name]
				if !found {
					return requests, limits, false
				}
				request, found := list[i].Resources.Requests[name]
				if !found {
					request = limit // as the API server fills it in
				}
				requests.Add(request)
				limits.Add(limit)
			}
		}
	}
	return requests, limits, true
}

func zeroOf(name corev1.ResourceName) resource.Quantity {
	if name == corev1.ResourceCPU {
		return *resource.NewQuantity(0, resource.DecimalSI)
	}
	return *resource.NewQuantity(0, resource.BinarySI)
}

// limitRange gives limits to containers that come without, which only an
// overlay or an operator with kubectl can bring in.
func (b builder) limitRange() object {
	defaults := b.platform.Defaults
	item := corev1.LimitRangeItem{
		Type:           corev1.LimitTypeContainer,
		Max:            defaults.Max.DeepCopy(),
		Default:        atMost(defaults.Resources.Limits, defaults.Max),
		DefaultRequest: atMost(defaults.Resources.Requests, defaults.Max),
	}
	return &corev1.LimitRange{
		TypeMeta:   typeMeta("v1", "LimitRange"),
		ObjectMeta: b.meta(limitRangeName),
		Spec:       corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{item}},
	}
}

// atMost lowers a list to its bounds; the API server refuses a default above its maximum.
func atMost(list, bounds corev1.ResourceList) corev1.ResourceList {
	list = list.DeepCopy()
	for name, q := range list {
		if bound, ok := bounds[name]; ok && q.Cmp(bound) > 0 {
			list[name] = bound.DeepCopy()
		}
	}
	return list
}
