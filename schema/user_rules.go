package schema

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// checkUser holds all spaces of a user against the rules that span them. The
// result is by name of the space.
func checkUser(u *userTree, parts map[string]*resolvedSpace, p *platformTree) map[string][]issue {
	issues := map[string][]issue{}
	hosts := make(hostClaims, len(u.spaces))
	quota := newQuota(u.user, p.platform.Spec.Limits.Of(u.user))
	for _, s := range u.spaces {
		part := parts[s.id.Name]
		for _, v := range part.space.Volumes {
			issues[s.id.Name] = append(issues[s.id.Name], quota.volume(v, part.disks[v])...)
		}
		for _, c := range part.space.Containers {
			issues[s.id.Name] = append(issues[s.id.Name], quota.container(c, part.docs[c])...)
			if !part.docs[c].broken() {
				issues[s.id.Name] = append(issues[s.id.Name], hosts.claim(c, part.docs[c])...)
			}
		}
	}
	return issues
}

// hostClaims remembers which container has which host and path.
type hostClaims map[[2]string]hostClaim

type hostClaim struct {
	container *Container
	doc       *document
	ports     []portClaim
}

// portClaim is a port outside and the one that it leads to.
type portClaim struct{ port, target int32 }

func (h hostClaim) has(port int32) bool {
	return slices.ContainsFunc(h.ports, func(p portClaim) bool { return p.port == port })
}

// claim reports hosts and paths that another entry has. The same container may
// have them on 80 and 443 with one target.
func (h hostClaims) claim(c *Container, doc *document) []issue {
	var issues []issue
	for i, in := range c.Spec.Ingress {
		key := [2]string{in.Host, in.Path}
		first, taken := h[key]
		if !taken {
			h[key] = hostClaim{c, doc, []portClaim{{in.Port, in.TargetPort}}}
			continue
		}
		samePort := first.has(in.Port)
		otherTarget := slices.ContainsFunc(first.ports, func(p portClaim) bool { return p.target != in.TargetPort })
		if first.container == c && !samePort && !otherTarget {
			first.ports = append(first.ports, portClaim{in.Port, in.TargetPort})
			h[key] = first
			continue
		}
		finding := Finding{
			Code: "duplicate-host", Message: fmt.Sprintf("%s%s is taken by %s", brief(in.Host), brief(in.Path), first.container.ID),
			Help: "give one of them another host or path", Related: []Position{first.doc.source},
		}
		if first.container == c && !samePort {
			finding.Message = fmt.Sprintf("%s%s leads to another port already", brief(in.Host), brief(in.Path))
			finding.Help = "give both the same targetPort, or one of them another host or path"
		}
		path := fieldPath{"spec", "ingress"}.index(i)
		issues = append(issues, issue{doc: doc, path: path.with("host"), Finding: finding})
	}
	return issues
}

// quota adds up what a user has in the order of spaces and names. What doesn't
// fit any more is reported and not counted.
type quota struct {
	user       User
	limit      Limit
	containers int
	used       map[corev1.ResourceName]*resource.Quantity
}

func newQuota(user User, limit Limit) *quota {
	return &quota{user: user, limit: limit, used: map[corev1.ResourceName]*resource.Quantity{
		corev1.ResourceCPU: {}, corev1.ResourceMemory: {}, corev1.ResourceStorage: {},
	}}
}

func (q *quota) container(c *Container, doc *document) []issue {
	var issues []issue
	if q.limit.Containers != nil && q.containers >= *q.limit.Containers {
		issues = append(issues, q.exceeded(doc, fieldPath{"metadata", "name"}, "containers", fmt.Sprint(*q.limit.Containers)))
	}
	limits := c.Spec.Resources.Limits
	cpu, memory := limits[corev1.ResourceCPU], limits[corev1.ResourceMemory]
	path := fieldPath{"spec", "resources", "limits"}
	if q.over(corev1.ResourceCPU, cpu, q.limit.CPU) {
		issues = append(issues, q.exceeded(doc, path.with("cpu"), "cpu", q.limit.CPU.String()))
	}
	if q.over(corev1.ResourceMemory, memory, q.limit.Memory) {
		issues = append(issues, q.exceeded(doc, path.with("memory"), "memory", q.limit.Memory.String()))
	}
	if len(issues) == 0 {
		q.containers++
		q.used[corev1.ResourceCPU].Add(cpu)
		q.used[corev1.ResourceMemory].Add(memory)
	}
	return issues
}

func (q *quota) volume(v *Volume, doc *document) []issue {
	if q.over(corev1.ResourceStorage, v.Spec.Size, q.limit.Storage) {
		return []issue{q.exceeded(doc, fieldPath{"spec", "size"}, "storage", q.limit.Storage.String())}
	}
	q.used[corev1.ResourceStorage].Add(v.Spec.Size)
	return nil
}

// over says whether amount doesn't fit below the limit any more.
func (q *quota) over(name corev1.ResourceName, amount resource.Quantity, limit *resource.Quantity) bool {
	if limit == nil {
		return false
	}
	sum := q.used[name].DeepCopy()
	sum.Add(amount)
	return sum.Cmp(*limit) > 0
}

func (q *quota) exceeded(doc *document, path fieldPath, what, limit string) issue {
	return issue{doc: doc, path: path, Finding: Finding{
		Code: "quota-exceeded", Message: fmt.Sprintf("takes %s past the limit of %s %s, counted in the order of spaces and names", q.user, limit, what),
		Help: fmt.Sprintf("ask for less, or the operator for more: limits.users.%s.%s in %s", q.user, what, platformFile),
	}}
}
